"""A disk that fills up while something is written: one line, the old file, and nothing else."""

import errno
import os
import resource
import signal
import subprocess

import numpy as np
import pytest

from ace_steps import command
from ace_steps.io import files, tensors
from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import vector_writer

NOTE = Provenance("made")
N_ROWS, DIM = 40_000, 16  # 2.5 MB, which do not compress
DISK_MB = 1


def write_vectors(path):
    rng = np.random.default_rng(0)
    with vector_writer(path, "item_vectors", DIM, np.float32, NOTE) as writer:
        keys = {"item": np.arange(N_ROWS), "item_id": [str(i) for i in range(N_ROWS)]}
        writer.write(keys, rng.normal(size=(N_ROWS, DIM)))


def write_tensors(path):
    arrays = {"a": np.random.default_rng(0).normal(size=(N_ROWS, DIM))}
    tensors.write_tensors(path, arrays, NOTE)


def write_text(path):
    files.write_text(path, "x" * 4 * 2**20)


KINDS = {"vectors": write_vectors, "tensors": write_tensors, "a text": write_text}
kinds = pytest.mark.parametrize("write", KINDS.values(), ids=KINDS)


def refused(capsys, write, path):
    """The one line of a step that writes and is refused."""
    assert command.execute(lambda: write(path)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line.partition(": ")[2]


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of one megabyte, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_files():
    """A process that may write files of one megabyte at most."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error in place of the end
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_MB * 2**20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


WAY_OUT = "the old file stands, free some space and run again"


@kinds
def test_a_full_disk_is_one_line_with_the_files_name_and_the_old_file_stands(
    tiny_disk, capsys, write
):
    path = tiny_disk / "vectors.parquet"
    path.write_text("old")
    line = refused(capsys, write, path)
    assert line == f"{path}: {os.strerror(errno.ENOSPC)}; {WAY_OUT}"
    assert [path.read_text(), *tiny_disk.iterdir()] == ["old", path]


@kinds
def test_a_limit_on_the_size_of_files_is_the_same(small_files, tmp_path, capsys, write):
    path = tmp_path / "vectors.parquet"
    line = refused(capsys, write, path)
    assert line == f"{path}: {os.strerror(errno.EFBIG)}; {WAY_OUT}"
    assert list(tmp_path.iterdir()) == []


def test_of_several_tables_none_is_new_when_the_last_finds_no_room(tiny_disk):
    first, last = tiny_disk / "first", tiny_disk / "last"
    first.write_text("old")

    def write_both():
        with files.published_together():
            files.write_text(first, "new")
            write_text(last)

    with pytest.raises(OSError, match="No space left") as refusal:
        write_both()
    assert refusal.value.filename == str(last)
    assert [first.read_text(), *tiny_disk.iterdir()] == ["old", first]
