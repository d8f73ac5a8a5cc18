"""Transformer layers with fewer passes over memory, for models that compute on a CPU.

The layers of a loaded model keep their place and their meaning; what changes is how they are
computed: weights laid out once for oneDNN's matrix products, activations and residual sums done
inside those products, and the attention of short texts as two batched products. The numbers differ
from the model's own by rounding alone. Layers of other classes stay as they are.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, PreTrainedModel
from transformers.models.bert.modeling_bert import BertLayer
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

LAYOUT_TOKENS = 1024  # tokens of the batches that the weights are laid out for; others work too
SHORT = 512  # tokens up to which a text's whole attention matrix is kept


def fuse_layers(model: PreTrainedModel) -> int:
    """Replace in place how the layers that are known here compute; their number.

    None is replaced where oneDNN cannot multiply the model's dtype fast. Only inference works
    afterwards; the original weights of these layers are freed.

    Args:
        model: On a CPU, in evaluation mode.
    """
    known = [layer for layer in model.modules() if type(layer) in FORMS] if can_fuse() else []
    for layer in known:
        form, wanted = FORMS[type(layer)]
        if any(getattr(model.config, name) != value for name, value in wanted.items()):
            return 0
        layer.forward = form(layer, model.config)
        for name, _ in list(layer.named_children()):
            delattr(layer, name)
    return len(known)


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
    """A Llama or Qwen3 layer: rotary positions, grouped keys, SiLU gates, RMS norms.

    Qwen3 norms the heads of queries and keys too.
    """

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
        turned = self._normed(qkv[:, :, : -self.groups])
        turned = _rotated(turned, *position_embeddings).transpose(1, 2)
        q, k = turned.split([self.heads, self.groups], dim=1)
        v = qkv[:, :, -self.groups :].transpose(1, 2)
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, self.index)
        read = _attention(q, k, v, mask=attention_mask, is_causal=True)
        x = self.out.joined(read, x, "add")
        y = _rms_norm(x, self.norms[1])
        y = self.up.joined(y, self.gate(y, "swish"), "mul")
        return self.down.joined(y, x, "add").view(texts, tokens, dim)

    def _normed(self, heads: Tensor) -> Tensor:
        """(texts, tokens, heads of queries and then keys, size), normed where the model does."""
        if None in self.head_norms:
            return heads
        parts = heads.split([self.heads, self.groups], dim=2)
        return torch.cat(
            [_rms_norm(part, norm) for part, norm in zip(parts, self.head_norms, strict=True)],
            dim=2,
        )


class Reader:
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
        read = _attention(q, k, v, mask=attention_mask, is_causal=False)
        x = self.norms[0](self.out.joined(read, x, "add"))
        y = self.norms[1](self.down.joined(self.up(x, "gelu"), x, "add"))
        return y.view(texts, tokens, dim)


# What computes a layer of a class, and what the model's configuration must say for that.
FORMS = {
    LlamaDecoderLayer: (Decoder, {"hidden_act": "silu"}),
    Qwen3DecoderLayer: (Decoder, {"hidden_act": "silu", "use_sliding_window": False}),
    BertLayer: (Reader, {"hidden_act": "gelu", "is_decoder": False}),
}


def _attention(q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None, is_causal: bool) -> Tensor:
    """Attention of texts (texts, heads, tokens, head_dim) to (texts * tokens, width).

    ``k`` and ``v`` may have fewer heads: neighbouring heads of ``q`` share one. They may have more
    tokens: those come before the tokens of ``q``. ``mask`` (texts or 1, 1, tokens, tokens of k) is
    transformers' own and already hides later tokens where they are to be hidden; without one,
    ``is_causal`` says whether they are.
    """
    (texts, heads, tokens, size), (_, groups, read, _) = q.shape, k.shape
    bias = _bias(mask, (tokens, read), q.dtype, is_causal=is_causal)
    if read > SHORT:
        is_square = is_causal and mask is None and tokens == read
        how = {"attn_mask": None if is_square else bias, "is_causal": is_square}
        found = functional.scaled_dot_product_attention(q, k, v, **how, enable_gqa=True)
        return found.transpose(1, 2).reshape(texts * tokens, -1)
    # The heads that share a key lie below each other: one product for all of them.
    q = q.reshape(texts * groups, -1, size)
    k, v = (part.reshape(texts * groups, read, size) for part in (k, v))
    scores = torch.bmm(q, k.transpose(1, 2)).view(texts, heads, tokens, read)
    scores = torch.add(bias, scores, alpha=size**-0.5)
    shares = scores.softmax(dim=-1).view(texts * groups, -1, read)
    found = torch.bmm(shares, v).view(texts, heads, tokens, size)
    return found.transpose(1, 2).reshape(texts * tokens, -1)


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
