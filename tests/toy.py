"""Tiny language models with random weights, saved on the spot: no network, the same every time."""

from pathlib import Path

TOY_WIDTH = 16
TOY_MAX_TOKENS = 512


def save_toy_encoder(folder: Path) -> None:
    """Save a two-layer decoder-only model of width 16 and its tokenizer, as a folder.

    The tokenizer reads bytes, so that any text but the empty one has at least one token.
    """
    from transformers import LlamaConfig, LlamaModel

    shape = LlamaConfig(
        vocab_size=_save_byte_tokenizer(folder),
        hidden_size=TOY_WIDTH,
        intermediate_size=2 * TOY_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOY_MAX_TOKENS,
        initializer_range=0.3,  # far from zero, so that texts differ
    )
    _save_seeded(LlamaModel, shape, folder)


def save_toy_reader(folder: Path) -> None:
    """Save a two-layer bidirectional encoder of width 16 and its tokenizer, as a folder."""
    from transformers import BertConfig, BertModel

    shape = BertConfig(
        vocab_size=_save_byte_tokenizer(folder),
        hidden_size=TOY_WIDTH,
        intermediate_size=2 * TOY_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOY_MAX_TOKENS,
        initializer_range=0.3,
    )
    _save_seeded(BertModel, shape, folder)


def _save_seeded(model_class: type, shape: object, folder: Path) -> None:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model_class(shape).save_pretrained(folder)


def _save_byte_tokenizer(folder: Path) -> int:
    """Save a tokenizer of single bytes and ``<pad>``; the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = ["<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {letter: place for place, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")
    wrapped.save_pretrained(folder)
    return len(letters)
