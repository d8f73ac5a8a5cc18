"""Token ids, truncation around a prompt, and batches of a token budget."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace_steps.embed.tokens import Tokens, token_budget_batches, tokenize
from ace_steps.errors import InputError


@pytest.fixture(scope="module")
def tokenizer(decoder_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(decoder_folder)


def read(tokenizer, tokens, row):
    ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]]
    return tokenizer.decode(ids.tolist())


def test_every_text_keeps_its_own_tokens(tokenizer):
    texts = ["one", "", "three and a half", "fünf"]
    tokens = tokenize(tokenizer, texts, prompt="{text}", max_tokens=64)
    assert [read(tokenizer, tokens, row) for row in range(4)] == texts
    assert tokens.lengths.tolist() == [len(text.encode()) for text in texts]
    assert not tokens.is_truncated.any()


def test_no_text_at_all_gives_no_tokens(tokenizer):
    tokens = tokenize(tokenizer, [], prompt="{text}", max_tokens=64)
    assert len(tokens.ids) == len(tokens.lengths) == len(tokens.is_truncated) == 0


def test_the_text_stands_where_the_prompt_says_whatever_braces_it_holds(tokenizer):
    tokens = tokenize(tokenizer, ["{x}"], prompt='{"say": "{text}"}', max_tokens=64)
    assert read(tokenizer, tokens, 0) == '{"say": "{x}"}'


def test_a_long_text_loses_its_end_and_the_prompt_stays_whole(tokenizer):
    texts = ["ab" * 50_000, "short"]
    tokens = tokenize(tokenizer, texts, prompt='This: "{text}" means', max_tokens=20)
    assert tokens.lengths.tolist() == [20, len('This: "short" means')]
    assert read(tokenizer, tokens, 0) == 'This: "ababab" means'
    assert tokens.is_truncated.tolist() == [True, False]


def test_a_letter_of_several_tokens_is_not_cut_in_two(tokenizer):
    tokens = tokenize(tokenizer, ["€€€"], prompt="{text}", max_tokens=8)
    assert read(tokenizer, tokens, 0) == "€€"


def test_a_prompt_that_leaves_no_room_is_refused(tokenizer):
    with pytest.raises(InputError, match="no room for a text: the prompt takes 8 of 6 tokens"):
        tokenize(tokenizer, ["long text"], prompt="Prompt: {text}", max_tokens=6)


@pytest.fixture(scope="module")
def with_end(decoder_folder):
    """The same tokenizer with an end token, which it does not append by itself."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(decoder_folder, eos_token="<end>")


@pytest.fixture(scope="module")
def that_ends(with_end):
    """A tokenizer whose own post-processor appends the end token."""
    from copy import deepcopy

    from tokenizers.processors import TemplateProcessing

    tokenizer = deepcopy(with_end)
    end = ("<end>", tokenizer.eos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("$A <end>", None, [end])
    return tokenizer


def test_an_end_token_is_appended_and_is_never_cut(with_end):
    texts = ["ab" * 5_000, "short", "ten letter"]
    tokens = tokenize(with_end, texts, prompt="{text}!", max_tokens=11, append_eos=True)
    assert [read(with_end, tokens, row) for row in range(3)] == [
        "ababababa!<end>",
        "short!<end>",
        "ten lette!<end>",  # of 10 letters, one too many beside "!" and the end token
    ]
    assert tokens.lengths.tolist() == [11, 7, 11]
    assert tokens.is_truncated.tolist() == [True, False, True]


def test_no_end_token_is_appended_unless_it_is_asked_for(with_end):
    tokens = tokenize(with_end, ["short"], prompt="{text}", max_tokens=11)
    assert read(with_end, tokens, 0) == "short"


def test_a_tokenizer_that_appends_its_end_token_gets_no_second_one(that_ends):
    tokens = tokenize(
        that_ends, ["ab" * 50, "short"], prompt="{text}", max_tokens=8, append_eos=True
    )
    assert [read(that_ends, tokens, row) for row in range(2)] == ["abababa<end>", "short<end>"]


def test_an_end_token_that_the_tokenizer_lacks_is_refused(tokenizer):
    with pytest.raises(InputError, match="append_eos: true, but the tokenizer has no eos_token"):
        tokenize(tokenizer, ["short"], prompt="{text}", max_tokens=8, append_eos=True)


def test_rows_are_padded_on_the_right_and_the_mask_tells():
    tokens = Tokens(np.arange(1, 7, dtype=np.int32), np.array([0, 1, 4, 6]), np.zeros(3, bool))
    ids, mask = tokens.padded(np.array([2, 0]), pad=9)
    assert ids.tolist() == [[5, 6], [1, 9]]
    assert mask.tolist() == [[True, True], [True, False]]


@given(
    lengths=st.lists(st.integers(1, 40), max_size=60),
    budget=st.integers(1, 100),
)
def test_batches_hold_every_row_once_within_the_budget_longest_first(lengths, budget):
    lengths = np.array(lengths, dtype=np.int64)
    batches = token_budget_batches(lengths, budget)
    rows = [row for batch in batches for row in batch.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[batch]) <= budget


def test_neighbours_in_length_share_a_batch():
    batches = token_budget_batches(np.array([2, 9, 2, 8, 2]), 18)
    assert [batch.tolist() for batch in batches] == [[1, 3], [0, 2, 4]]
