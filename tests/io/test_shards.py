"""Shards' names, the rows they stand for, and whole sets of them."""

import pytest

from ace_steps.errors import InputError
from ace_steps.io.shards import parse_shard, require_all_shards, shard_rows


@pytest.mark.parametrize("n_shards", [1, 2, 7, 100])
def test_shards_cover_every_row_once_in_order(n_shards):
    shards = [f"{i + 1}-of-{n_shards}" for i in range(n_shards)]
    assert [row for shard in shards for row in shard_rows(shard, 60)] == list(range(60))


@pytest.mark.parametrize("text", ["", "2", "3-of-2", "0-of-2", "a-of-b", "1-of-2x"])
def test_a_shard_of_another_form_is_refused(text):
    with pytest.raises(InputError, match=f"2-of-4.*'{text}'"):
        parse_shard(text)


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        (["1-of-3", "3-of-3"], "2-of-3 is missing"),
        (["1-of-2", "1-of-2"], "1-of-2 .*more than once"),
        (["1-of-2", "2-of-3"], "2-of-3 .*split into 2"),
    ],
)
def test_a_set_of_shards_that_is_not_whole_is_refused(shards, message):
    with pytest.raises(InputError, match=message):
        require_all_shards(shards)
