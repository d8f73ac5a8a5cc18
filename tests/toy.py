"""Tiny language models with random weights, saved on the spot: no network, the same every time."""

from pathlib import Path

import numpy as np

from ace_steps.embed.registry import (
    TOY_DIM,
    TOY_MAX_TOKENS,
    save_byte_tokenizer,
    save_seeded,
    save_toy_encoder,
)

__all__ = ["TOY_DIM", "save_as_gguf", "save_toy_encoder", "save_toy_reader"]


def save_toy_reader(folder: Path) -> None:
    """Save a two-layer bidirectional encoder of dimension 16 and its tokenizer, as a folder."""
    from transformers import BertConfig, BertModel

    shape = BertConfig(
        vocab_size=save_byte_tokenizer(folder),
        hidden_size=TOY_DIM,
        intermediate_size=2 * TOY_DIM,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOY_MAX_TOKENS,
        initializer_range=0.3,
    )
    save_seeded(BertModel, shape, folder)


GGUF_NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def save_as_gguf(source: Path, path: Path) -> None:
    """Write the decoder of ``save_toy_encoder`` and its tokenizer as one GGUF file, unquantized."""
    import gguf
    from transformers import AutoTokenizer, LlamaModel

    model = LlamaModel.from_pretrained(source)
    shape = model.config
    ids = AutoTokenizer.from_pretrained(source).get_vocab()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.num_key_value_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(ids, key=ids.get))
    writer.add_token_scores([0.0] * len(ids))
    writer.add_token_types([1] * len(ids))
    for name, weight in model.state_dict().items():
        writer.add_tensor(*_as_in_gguf(name, weight.numpy(), shape.num_attention_heads))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _as_in_gguf(name: str, weight: np.ndarray, n_heads: int) -> tuple[str, np.ndarray]:
    """A weight's name in GGUF, and its rows in the order that llama.cpp rotates them."""
    _, number, part = name.split(".", 2) if name.startswith("layers.") else ("", "", name)
    place = GGUF_NAMES[part.removesuffix(".weight")]
    if place in ("attn_q", "attn_k"):
        halves = weight.reshape(n_heads, 2, -1, weight.shape[1])
        weight = np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)
    return f"{f'blk.{number}.' if number else ''}{place}.weight", weight
