"""Token ids, truncation around a prompt, and batches of a token budget."""

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from ace_steps.embed.tokens import Tokens, token_budget_batches, tokenize
from ace_steps.errors import InputError


@pytest.fixture(scope="module")
def tokenizer(decoder_folder):
    """A tokenizer of single bytes."""
    return AutoTokenizer.from_pretrained(decoder_folder)


@pytest.fixture(scope="module")
def with_end(decoder_folder):
    """The same with an end token, which it does not append by itself."""
    return AutoTokenizer.from_pretrained(decoder_folder, eos_token="<end>")


@pytest.fixture(scope="module")
def that_ends(with_end):
    """A tokenizer whose own post-processor appends the end token."""
    tokenizer = deepcopy(with_end)
    end = ("<end>", tokenizer.eos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("$A <end>", None, [end])
    return tokenizer


def encoded(tokenizer, texts, prompt="{text}", max_tokens=64, **more):
    """The tokens as texts again, and whether each was cut."""
    tokens = tokenize(tokenizer, texts, prompt=prompt, max_tokens=max_tokens, **more)
    assert (tokens.lengths <= max_tokens).all()
    spans = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    rows = [tokenizer.decode(tokens.ids[start:stop].tolist()) for start, stop in spans]
    return rows, tokens.is_truncated.tolist()


def test_every_text_keeps_its_own_tokens(tokenizer):
    texts = ["one", "", "three and a half", "fünf"]
    assert encoded(tokenizer, texts) == (texts, [False] * 4)
    assert encoded(tokenizer, []) == ([], [])


def test_the_text_stands_where_the_prompt_says_whatever_braces_it_holds(tokenizer):
    assert encoded(tokenizer, ["{x}"], '{"say": "{text}"}')[0] == ['{"say": "{x}"}']


def test_a_long_text_loses_its_end_and_the_prompt_stays_whole(tokenizer):
    rows, is_truncated = encoded(tokenizer, ["ab" * 5_000, "short"], 'This: "{text}" means', 20)
    assert rows == ['This: "ababab" means', 'This: "short" means']
    assert is_truncated == [True, False]


def test_a_letter_of_several_tokens_is_not_cut_in_two(tokenizer):
    assert encoded(tokenizer, ["€€€"], max_tokens=8)[0] == ["€€"]


def test_a_prompt_that_leaves_no_room_is_refused(tokenizer):
    with pytest.raises(InputError, match="no room for a text: the prompt takes 8 of 6 tokens"):
        encoded(tokenizer, ["long text"], "Prompt: {text}", 6)


def test_an_end_token_is_appended_where_it_is_asked_for_and_is_never_cut(with_end):
    texts = ["ab" * 50, "short", "ten letter"]
    rows, is_truncated = encoded(with_end, texts, "{text}!", 11, append_eos=True)
    # Ten letters are one too many beside "!" and the end token.
    assert rows == ["ababababa!<end>", "short!<end>", "ten lette!<end>"]
    assert is_truncated == [True, False, True]
    assert encoded(with_end, ["short"])[0] == ["short"]


def test_a_tokenizer_that_appends_its_end_token_gets_no_second_one(that_ends):
    rows, _ = encoded(that_ends, ["ab" * 50, "short"], max_tokens=8, append_eos=True)
    assert rows == ["abababa<end>", "short<end>"]


def test_an_end_token_that_the_tokenizer_lacks_is_refused(tokenizer):
    with pytest.raises(InputError, match="append_eos: true, but the tokenizer has no eos_token"):
        encoded(tokenizer, ["short"], append_eos=True)


def test_rows_are_padded_on_the_right_and_the_mask_tells():
    tokens = Tokens(np.arange(1, 7, dtype=np.int32), np.array([0, 1, 4, 6]), np.zeros(3, bool))
    ids, mask = tokens.padded(np.array([2, 0]), pad=9)
    assert ids.tolist() == [[5, 6], [1, 9]]
    assert mask.tolist() == [[True, True], [True, False]]


@given(lengths=st.lists(st.integers(1, 40), max_size=60), budget=st.integers(1, 100))
def test_batches_hold_every_row_once_within_the_budget_longest_first(lengths, budget):
    lengths = np.array(lengths, dtype=np.int64)
    batches = token_budget_batches(lengths, budget)
    rows = [row for batch in batches for row in batch.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[batch]) <= budget


def test_neighbors_in_length_share_a_batch_as_large_as_the_budget_lets_it_be():
    batches = token_budget_batches(np.array([2, 9, 2, 8, 2]), 18)
    assert [batch.tolist() for batch in batches] == [[1, 3], [0, 2, 4]]
