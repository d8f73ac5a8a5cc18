"""The step embed_items keeps what was embedded, whatever ends it; nothing is embedded twice."""

import errno
import itertools
import re

import pytest

from ace_steps.embed.store import VectorStore
from tests.steps.made_items import EMBED_TEXTS, write_items


def new_texts(log):
    """How many texts the closing line says the model read."""
    return int(re.search(r"(\d+) new:", log)[1])


def test_a_store_embeds_only_texts_it_has_not_seen(embed, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    assert new_texts(embed(more=store)[1]) == 4
    before = (tmp_path / "shard.parquet").read_bytes()
    assert new_texts(embed(more=store)[1]) == 0
    assert (tmp_path / "shard.parquet").read_bytes() == before
    write_items(tmp_path / "items.parquet", [*EMBED_TEXTS, "a new hat"])
    assert new_texts(embed(more=store)[1]) == 1
    assert len(list((tmp_path / "store").rglob("*.parquet"))) == 2  # gathered, one a run


def test_a_store_gives_every_length_and_scale_of_one_vector(embed, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    embed(name="fresh.parquet", truncate_dim=5)
    embed(more=store, normalize=False)
    code, log = embed(name="kept.parquet", more=store, truncate_dim=5)
    assert code == new_texts(log) == 0
    assert (tmp_path / "kept.parquet").read_bytes() == (tmp_path / "fresh.parquet").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "last"},
        {"layer": 1},
        {"dtype": "bfloat16"},
        {"prompt": "An item: {text}"},
        {"max_tokens": 100},
        {"batch_tokens": 300},
    ],
)
@pytest.mark.usefixtures("bfloat16_everywhere")
def test_a_store_keeps_other_ways_apart(embed, tmp_path, changes):
    store = ["--store", str(tmp_path / "store")]
    embed(more=store)
    assert new_texts(embed(more=store, **changes)[1]) == 4


def test_a_damaged_store_is_an_error_that_names_the_file(embed, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    embed(more=store)
    path = next((tmp_path / "store").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    code, log = embed(more=store)
    assert code == 2
    assert path.name in log
    assert "delete it and run again" in log


def failing_after(monkeypatch, n_batches, failure):
    """The store raises ``failure`` instead of keeping one batch more."""
    add, calls = VectorStore.add, itertools.count()

    def guarded(self, hashes, vectors):
        if next(calls) == n_batches:
            raise failure
        add(self, hashes, vectors)

    monkeypatch.setattr(VectorStore, "add", guarded)


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(embed, tmp_path, monkeypatch):
    many = [f"item number {number}" for number in range(100)]
    write_items(tmp_path / "items.parquet", many)
    embed(name="unbroken.parquet")
    full = OSError(errno.ENOSPC, "No space left on device", "shard.parquet")
    with monkeypatch.context() as patch:
        failing_after(patch, 2, full)
        code, log = embed()
    assert code == 2
    assert "shard.parquet: No space left on device" in log
    assert not (tmp_path / "shard.parquet").exists()
    n_left = new_texts(embed()[1])
    assert 0 < n_left < 100
    whole = (tmp_path / "unbroken.parquet").read_bytes()
    assert (tmp_path / "shard.parquet").read_bytes() == whole
