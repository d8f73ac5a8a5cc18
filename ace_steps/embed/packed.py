"""The texts of a batch end to end, with no padding between them, where a GPU can read them so.

torch's attention for texts of differing lengths (``varlen_attn``, FlashAttention underneath)
computes in half precision on a GPU. It is registered with transformers under a name of its own;
a model takes it only after a trial of its own weights gave the states that it gives otherwise.
"""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, PreTrainedModel

log = logging.getLogger(__name__)

NAME = "ace_packed"
TRIAL_LENGTHS = 3, 33, 8  # tokens of the texts of the trial
LEAST_COSINE = 0.98  # of a token to itself in its text alone: rounding to half costs less


def packs(model: PreTrainedModel) -> bool:
    """Make the model read texts end to end if it can; whether it does from now on.

    Positions that a model counts for itself, attention that depends on more than queries, keys and
    a window, and kernels that refuse its shape all show in the trial, and leave it as it was.

    Args:
        model: In evaluation mode, on the device where it will compute.
    """
    if not has_kernel(model.device, model.dtype):
        return False
    usual = model.config.get_text_config()._attn_implementation
    reason = None
    try:
        reason = _difference(model)
    except Exception as refusal:  # whatever a model or a kernel says to it, padding remains
        reason = f"{type(refusal).__name__}: {' '.join(str(refusal).split())[:200]}"
    if reason is not None:
        model.set_attn_implementation(usual)
        log.info("texts are padded, not packed: %s", reason)
    return reason is None


def has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch may have attention for packed texts of this dtype there."""
    return device.type == "cuda" and dtype in (torch.bfloat16, torch.float16)


def packing(lengths: Sequence[int], device: torch.device) -> dict[str, Tensor | int]:
    """What a model for which ``packs`` is true must be told beside the ids, (1, tokens).

    Args:
        lengths: Tokens of each text.
        device: Of the model.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)])
    places = np.concatenate([np.arange(length) for length in lengths])
    return {
        "position_ids": sent(places[None], device),
        "cu_seq_lens_q": sent(starts.astype(np.int32), device),
        "max_length_q": int(max(lengths)),
    }


def sent(part: np.ndarray, device: torch.device) -> Tensor:
    """A tensor on the device; its way to a GPU starts in pinned memory and is not waited for."""
    tensor = torch.from_numpy(part)
    if device.type != "cuda":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


@torch.inference_mode()
def _difference(model: PreTrainedModel) -> str | None:
    """What is wrong with the packed states of a few made-up texts; None where nothing is."""
    n_ids = model.get_input_embeddings().num_embeddings
    ids = torch.arange(1, sum(TRIAL_LENGTHS) + 1) * 7919 % n_ids  # a prime: spread out
    ids = ids.to(model.device)
    alone = [model(input_ids=text[None]).last_hidden_state[0] for text in ids.split(TRIAL_LENGTHS)]
    model.set_attn_implementation(NAME)
    found = model(input_ids=ids[None], **packing(TRIAL_LENGTHS, ids.device)).last_hidden_state[0]
    cosine = functional.cosine_similarity(found.float(), torch.cat(alone).float(), dim=-1)
    least = float(cosine.nan_to_num(-1).min())
    return None if least > LEAST_COSINE else f"its states differ then (cosine {least:.3f})"


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    cu_seq_lens_q: Tensor,
    max_length_q: int,
    scaling: float | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: (1, heads, tokens, size) to (1, tokens, heads, size)."""
    if softcap is not None or s_aux is not None:
        raise ValueError("its scores are capped, or shared with a sink")
    is_causal = module.is_causal if is_causal is None else is_causal
    reach = -1 if sliding_window is None else sliding_window - 1  # -1 is without end
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    found = varlen_attn(
        q,
        k,
        v,
        cu_seq_lens_q,
        cu_seq_lens_q,
        max_length_q,
        max_length_q,
        scale=scaling,
        window_size=(reach, 0 if is_causal else reach),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    return found[None], None


AttentionInterface.register(NAME, _attention)
