"""Files that appear whole or not at all."""

import hashlib
import os
import subprocess
import sys
import time

import pytest

from ace_steps.io import files
from tests.conftest import ROOT


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "deep" / "table.bin"
    files.write_text(target, "old")

    def broken():
        with files.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        broken()
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    with files.atomic_path(tmp_path / "a") as temporary:
        temporary.unlink()
        temporary.touch(0o600)  # as some libraries write
    (tmp_path / "plain").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_digests_are_those_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes("gauche \u00e9".encode())
    expected = hashlib.sha256("gauche \u00e9".encode()).hexdigest()
    assert files.sha256_file(tmp_path / "a") == files.sha256_text("gauche \u00e9") == expected


def test_an_unchanged_file_is_read_once_for_its_digest_and_its_checksum(tmp_path):
    path = tmp_path / "a"
    for content, age_s in ((b"PAR1" * 2**20, 9), (b"2", 8), (b"33", 7)):
        path.write_bytes(content)
        os.utime(path, (time.time() - age_s,) * 2)
        n_read = files._read_checksums.cache_info().misses
        assert not files.has_wrong_checksum(path)
        assert files.sha256_file(path) == hashlib.sha256(content).hexdigest()
        assert files._read_checksums.cache_info().misses == n_read + 1


def test_a_young_file_is_read_again_even_if_its_time_is_the_same(tmp_path):
    path, now = tmp_path / "a", time.time()
    for content in (b"1", b"2"):
        path.write_bytes(content)
        os.utime(path, (now, now))
        assert files.sha256_file(path) == hashlib.sha256(content).hexdigest()


def test_json_has_sorted_keys(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": "\u00e9"})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": "\u00e9",\n  "b": 1\n}\n'


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from ace_steps.io import files
with files.atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next_of_the_same_file(tmp_path):
    for name in ("a[b].json", "other.json"):
        killed = [sys.executable, "-c", KILLED_WRITER, str(tmp_path / name)]
        subprocess.run(killed, cwd=ROOT, check=False)
    assert len(list(tmp_path.glob(".*.tmp"))) == 2
    files.write_text(tmp_path / "a[b].json", "whole")
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left[1:] == ["a[b].json"]
    assert left[0].startswith(".other.json.")


def test_a_live_writer_of_the_same_file_is_left_alone(tmp_path):
    with files.atomic_path(tmp_path / "a") as slow:
        files.write_text(tmp_path / "a", "quick")
        assert (tmp_path / "a").read_text() == "quick"
        slow.write_text("slow")
    assert (tmp_path / "a").read_text() == "slow"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize(("silent_s", "is_removed"), [(60, False), (3600, True)])
def test_a_writer_on_another_machine_is_dead_when_it_was_silent_for_long(
    tmp_path, silent_s, is_removed
):
    foreign = tmp_path / ".a.other-node-7-abcdefgh.tmp"
    foreign.touch()
    os.utime(foreign, (time.time() - silent_s,) * 2)
    files.write_text(tmp_path / "a", "own")
    assert foreign.exists() != is_removed


def test_files_of_one_block_appear_together_or_not_at_all(tmp_path):
    with files.published_together():
        files.write_text(tmp_path / "a", "1")
        files.write_text(tmp_path / "b", "2")
        assert not (tmp_path / "a").exists()
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", "2"]

    def broken():
        with files.published_together():
            files.write_text(tmp_path / "a", "new")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        broken()
    assert (tmp_path / "a").read_text() == "1"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]
    files.write_text(tmp_path / "c", "after the block, at once")
    assert (tmp_path / "c").exists()
