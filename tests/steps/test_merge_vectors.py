"""The step merge_vectors, through its command line; what it computes is in tests/embed."""

import errno
import os

import pytest

from ace_steps.io.parquet import read_provenance
from ace_steps.steps.merge_vectors import main
from tests.embed.test_merge import TEXTS, write_shards
from tests.embed.test_texts import items_of
from tests.steps.made_items import write_items


@pytest.fixture
def merge(tmp_path, capsys):
    """The step on two shards."""
    write_items(tmp_path / "items.parquet", TEXTS)
    write_shards(tmp_path, items_of(TEXTS), 2)

    def run(*names):
        shards = [str(tmp_path / name) for name in names]
        places = ["--items", str(tmp_path / "items.parquet"), "--shards", *shards]
        code = main([*places, "--vectors", str(tmp_path / "out.parquet")])
        return code, capsys.readouterr().err

    return run


def test_it_says_what_it_joined_and_the_file_how_it_was_made(merge, tmp_path):
    code, log = merge("1.parquet", "2.parquet")
    assert code == 0
    assert "joined 40 text vectors of dim 3 from 2 shards to 50 items" in log
    note = read_provenance(tmp_path / "out.parquet")
    assert note.step == "merge_vectors"
    assert note.inputs.keys() == {"items"}
    assert note.facts["n_tokens"] == 80


def test_a_file_that_is_no_shard_is_refused(merge):
    code, log = merge("items.parquet", "2.parquet")
    assert code == 2
    assert "items.parquet: no shard of text vectors; embed_items writes one." in log


def answering(number):
    """A reservation of disk space that the system refuses."""

    def refuse(handle, offset, length):
        assert (offset, length) == (0, 40 * 3 * 4)  # every distinct text once, in float32
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_full_disk_is_one_line_that_names_the_folder(merge, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", answering(errno.ENOSPC), raising=False)
    before = set(tmp_path.iterdir())
    code, log = merge("1.parquet", "2.parquet")
    assert code == 2
    assert f"{tmp_path}: No space left on device" in log
    assert log.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, None])
def test_a_system_that_cannot_reserve_space_is_no_obstacle(merge, monkeypatch, number):
    if number:
        monkeypatch.setattr(os, "posix_fallocate", answering(number), raising=False)
    else:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    assert merge("1.parquet", "2.parquet")[0] == 0
