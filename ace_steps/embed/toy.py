"""The toy encoder: a tiny language model with random weights, made on the spot, always the same.

It shows every stage without a download; its vectors tell texts apart and mean nothing.
"""

from pathlib import Path

TOY_DIM = 16
TOY_MAX_TOKENS = 512


def save_toy_encoder(folder: Path) -> None:
    """Save a two-layer decoder-only model of dimension 16 and its tokenizer, as a folder.

    The tokens are bytes, so that any text but the empty one has at least one token.
    """
    from transformers import LlamaConfig, LlamaModel

    shape = LlamaConfig(
        vocab_size=save_byte_tokenizer(folder),
        hidden_size=TOY_DIM,
        intermediate_size=2 * TOY_DIM,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOY_MAX_TOKENS,
        initializer_range=0.3,  # far from zero, so that texts differ
    )
    save_seeded(LlamaModel, shape, folder)


def save_seeded(model_class: type, shape: object, folder: Path) -> None:
    """Save a model whose weights are drawn from seed 0.

    Args:
        model_class: Of transformers.
        shape: Its configuration.
        folder: Where ``save_pretrained`` writes to.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model_class(shape).save_pretrained(folder)


def save_byte_tokenizer(folder: Path) -> int:
    """Save a tokenizer of single bytes and ``<pad>``; the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = ["<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {letter: token for token, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")
    wrapped.save_pretrained(folder)
    return len(letters)
