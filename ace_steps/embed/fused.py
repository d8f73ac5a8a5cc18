"""What makes encoders fast on a CPU; ``benchmarks/embed.py`` measures it against their own layers.

- Fused layers: weights laid out once for oneDNN's matrix products, activations and residual sums
  inside those products, attention of short texts as two batched products. States differ from the
  model's own by rounding alone; layers of other classes stay as they are.
- A share per core: each core computes some texts of a batch instead of a part of every product.
- The shared prefix: in a causal model later tokens change no earlier state, so what all texts begin
  with is encoded once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.models.bert.modeling_bert import BertLayer
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

from ace_steps.embed.tokens import Tokens

LAYOUT_TOKENS = 1024  # tokens of the batches that the weights are laid out for; others work too
SHORT = 512  # tokens up to which a text's whole attention matrix is kept
SHARE_TOKENS = 256  # fewer tokens than that keep no core busy with products of matrices
LEAST_PREFIX = 4  # tokens; fewer are not worth a pass of their own


def fuse_layers(model: PreTrainedModel) -> int:
    """Replace in place how the layers of known classes compute; their number.

    None is replaced where oneDNN cannot multiply fast. Only inference works afterwards; the
    original weights of these layers are freed.

    Args:
        model: On a CPU, in evaluation mode.
    """
    layers = [layer for layer in model.modules() if type(layer) in FORMS] if can_fuse() else []
    for layer in layers:
        form, required = FORMS[type(layer)]
        if any(getattr(model.config, name) != value for name, value in required.items()):
            return 0
        layer.forward = form(layer, model.config)
        for name, _ in list(layer.named_children()):
            delattr(layer, name)
    return len(layers)


def can_fuse() -> bool:
    """Whether this processor and this build of torch multiply bfloat16 and float32 by oneDNN."""
    is_wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return is_wide and torch.backends.mkldnn.is_available()


class Product:
    """``x @ weight.T + bias`` with an activation, or with another matrix joined to it."""

    def __init__(self, *linears: nn.Linear) -> None:
        """``linears`` read the same input; their outputs come side by side."""
        weight = torch.cat([linear.weight.detach() for linear in linears])
        biases = [linear.bias for linear in linears if linear.bias is not None]
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, LAYOUT_TOKENS)
        self.bias = torch.cat(biases).detach() if biases else None

    def __call__(self, x: Tensor, activation: str = "none") -> Tensor:
        """(tokens, inputs) to (tokens, outputs)."""
        return torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, activation, [], "none" if activation == "gelu" else ""
        )

    def joined(self, x: Tensor, other: Tensor, how: str) -> Tensor:
        """The product added to (``add``) or multiplied with (``mul``) ``other``."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, other, self.weight, self.bias, how)


class Decoder:
    """A Llama or Qwen3 layer: rotary positions, grouped keys, SiLU gates, RMS norms."""

    def __init__(self, layer: LlamaDecoderLayer | Qwen3DecoderLayer, config) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.size, self.index = attention.head_dim, attention.layer_idx
        self.qkv = Product(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = Product(attention.o_proj)
        self.gate, self.up = Product(mlp.gate_proj), Product(mlp.up_proj)
        self.down = Product(mlp.down_proj)
        self.norms = layer.input_layernorm, layer.post_attention_layernorm
        self.head_norms = [getattr(attention, name, None) for name in ("q_norm", "k_norm")]

    def __call__(
        self,
        hidden_states: Tensor,
        *,
        attention_mask: Tensor | None,
        position_embeddings: tuple[Tensor, Tensor],
        past_key_values: Cache | None,
        **_,
    ) -> Tensor:
        """(texts, tokens, dim) to the same; keys and values of earlier tokens out of a cache."""
        texts, tokens, dim = hidden_states.shape
        x = hidden_states.reshape(-1, dim)
        qkv = self.qkv(_rms_norm(x, self.norms[0])).view(texts, tokens, -1, self.size)
        heads = self._normed(qkv[:, :, : -self.groups])
        heads = _rotated(heads, *position_embeddings).transpose(1, 2)
        q, k = heads.split([self.heads, self.groups], dim=1)
        v = qkv[:, :, -self.groups :].transpose(1, 2)
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, self.index)
        x = self.out.joined(_attention(q, k, v, mask=attention_mask, is_causal=True), x, "add")
        y = _rms_norm(x, self.norms[1])
        y = self.up.joined(y, self.gate(y, "swish"), "mul")
        return self.down.joined(y, x, "add").view(texts, tokens, dim)

    def _normed(self, heads: Tensor) -> Tensor:
        """Heads of queries, then keys (texts, tokens, heads, size), normed as in Qwen3."""
        if None in self.head_norms:
            return heads
        queries, keys = heads.split([self.heads, self.groups], dim=2)
        q_norm, k_norm = self.head_norms
        return torch.cat([_rms_norm(queries, q_norm), _rms_norm(keys, k_norm)], dim=2)


class Bidirectional:
    """A BERT layer: learned positions (outside), biases, GELU, layer norms after the sums."""

    def __init__(self, layer: BertLayer, config) -> None:
        own = layer.attention.self
        self.heads = config.num_attention_heads
        self.qkv = Product(own.query, own.key, own.value)
        self.out = Product(layer.attention.output.dense)
        self.up, self.down = Product(layer.intermediate.dense), Product(layer.output.dense)
        self.norms = layer.attention.output.LayerNorm, layer.output.LayerNorm

    def __call__(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, *_, **__
    ) -> Tensor:
        """(texts, tokens, dim) to the same."""
        texts, tokens, dim = hidden_states.shape
        x = hidden_states.reshape(-1, dim)
        qkv = self.qkv(x).view(texts, tokens, 3 * self.heads, -1).transpose(1, 2)
        q, k, v = qkv.split(self.heads, dim=1)
        attended = _attention(q, k, v, mask=attention_mask, is_causal=False)
        x = self.norms[0](self.out.joined(attended, x, "add"))
        y = self.norms[1](self.down.joined(self.up(x, "gelu"), x, "add"))
        return y.view(texts, tokens, dim)


# What computes a layer of a class, and what the model's configuration must say for that.
FORMS = {
    LlamaDecoderLayer: (Decoder, {"hidden_act": "silu"}),
    Qwen3DecoderLayer: (Decoder, {"hidden_act": "silu", "use_sliding_window": False}),
    BertLayer: (Bidirectional, {"hidden_act": "gelu", "is_decoder": False}),
}


def _attention(q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None, is_causal: bool) -> Tensor:
    """Attention of (texts, heads, tokens, head_dim) to (texts * tokens, heads * head_dim).

    ``k`` and ``v`` may have fewer heads, each shared by neighboring heads of ``q``, and more
    tokens, which come before those of ``q``. ``mask`` (texts or 1, 1, tokens, tokens of k) is
    transformers' own and includes causality; without one, ``is_causal`` says it.
    """
    (texts, heads, tokens, size), (_, groups, n_keys, _) = q.shape, k.shape
    bias = _bias(mask, (tokens, n_keys), q.dtype, is_causal=is_causal)
    if n_keys > SHORT:
        is_square = is_causal and mask is None and tokens == n_keys
        masking = {"attn_mask": None if is_square else bias, "is_causal": is_square}
        values = functional.scaled_dot_product_attention(q, k, v, **masking, enable_gqa=True)
        return values.transpose(1, 2).reshape(texts * tokens, -1)
    # The heads that share a key lie below each other: one product for all of them.
    q = q.reshape(texts * groups, -1, size)
    k, v = (part.reshape(texts * groups, n_keys, size) for part in (k, v))
    scores = torch.bmm(q, k.transpose(1, 2)).view(texts, heads, tokens, n_keys)
    scores = torch.add(bias, scores, alpha=size**-0.5)
    weights = scores.softmax(dim=-1).view(texts * groups, -1, n_keys)
    values = torch.bmm(weights, v).view(texts, heads, tokens, size)
    return values.transpose(1, 2).reshape(texts * tokens, -1)


def _bias(
    mask: Tensor | None, shape: tuple[int, int], dtype: torch.dtype, *, is_causal: bool
) -> Tensor:
    """What is added to the scores, so that a hidden token gets no share; a mask may be that."""
    if mask is not None and mask.dtype != torch.bool:
        return mask
    if mask is None:
        mask = torch.ones(1, 1, *shape, dtype=torch.bool)
        mask = mask.tril(shape[1] - shape[0]) if is_causal else mask
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on (texts, tokens, heads, size), the halves of each head as pairs."""
    half = x.shape[-1] // 2
    signed = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)
    return torch.addcmul(x * cos.unsqueeze(2), torch.roll(x, half, -1), signed.unsqueeze(2))


def _rms_norm(x: Tensor, norm: nn.Module) -> Tensor:
    """The layer's own RMS norm, in float32 inside, with fewer temporaries."""
    wide = x.float()
    scale = wide.square().mean(dim=-1, keepdim=True).add_(norm.variance_epsilon).rsqrt_()
    return norm.weight * (wide * scale).to(x.dtype)


class Cores:
    """The cores that torch may use; they wait for each other once a batch, not once a product."""

    def __init__(self, n_cores: int) -> None:
        self._n_cores = n_cores
        self._pool = ThreadPoolExecutor(n_cores, "core", torch.set_num_threads, (1,))

    def __enter__(self) -> "Cores":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        if self._n_cores > 1:  # what a core sets for itself holds for every later thread too
            torch.set_num_threads(self._n_cores)

    def compute(
        self, vectors_of: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, n_tokens: int
    ) -> np.ndarray:
        """``vectors_of(rows)``, share by share where the batch is large enough.

        Args:
            vectors_of: Vectors (texts, dim) of some rows; runs on several threads at once.
            rows: (batch,) the texts of one batch, sorted by length.
            n_tokens: Tokens of the batch, with padding.

        Raises:
            Exception: of the first share that fails, once no share computes any more.
        """
        if self._n_cores == 1 or min(len(rows), n_tokens // SHARE_TOKENS) < self._n_cores:
            return vectors_of(rows)
        shares = np.array_split(rows, self._n_cores)
        jobs = [self._pool.submit(vectors_of, share) for share in shares]
        wait(jobs)
        return np.concatenate([job.result() for job in jobs])


@dataclass(frozen=True)
class Prefix:
    """The first tokens of every text: their states (1, tokens, dim) and each layer's keys, values.

    Every text has more tokens than these.
    """

    states: Tensor
    keys: tuple[tuple[Tensor, Tensor], ...]

    def continued(self, model: PreTrainedModel, layer: int, ids: Tensor) -> Tensor:
        """States of whole texts (texts, tokens, dim), of which only the rest is computed."""
        cache = DynamicCache(config=model.config)
        for index, pair in enumerate(self.keys):
            cache.update(*(part.expand(len(ids), -1, -1, -1) for part in pair), index)
        rest = ids[:, self.states.shape[1] :]
        states = states_of(model, layer, input_ids=rest, past_key_values=cache)
        return torch.cat([self.states.expand(len(ids), -1, -1), states], dim=1)


def states_of(model: PreTrainedModel, layer: int, **inputs: Tensor | Cache | None) -> Tensor:
    """States of one layer, (texts, tokens, dim)."""
    if layer == -1:
        return model(**inputs).last_hidden_state
    return model(**inputs, output_hidden_states=True).hidden_states[layer]


@torch.inference_mode()
def encode_prefix(model: PreTrainedModel, tokens: Tokens, layer: int) -> Prefix | None:
    """What all texts begin with, encoded; None where that saves nothing.

    Args:
        model: A causal model with fused layers: there every token costs the same.
        tokens: Of all texts, none without tokens.
        layer: Whose states are encoded.
    """
    n_tokens = common_tokens(tokens) if len(tokens.lengths) > 1 else 0
    if n_tokens < LEAST_PREFIX:
        return None
    ids = torch.from_numpy(tokens.ids[:n_tokens].astype(np.int64))[None]
    cache = DynamicCache(config=model.config)
    states = states_of(model, layer, input_ids=ids, past_key_values=cache)
    return Prefix(states, tuple((held.keys, held.values) for held in cache.layers))


def common_tokens(tokens: Tokens) -> int:
    """Number of tokens that all texts begin with, one less than the shortest text at most."""
    starts, most = tokens.offsets[:-1], int(tokens.lengths.min()) - 1
    for rank in range(most):
        column = tokens.ids[starts + rank]
        if (column != column[0]).any():
            return rank
    return most
