"""A file that was changed or cut after it was written is refused, or means what it meant."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.errors import InputError
from ace_steps.io import parquet, tensors, vectors
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import USERS
from ace_steps.steps import train_backbone
from tests.steps.made_training import train_options, write_inputs

NOTE = Provenance("step", {"l2": 1.5}, {"a": "00"}, {"seed": 1})
USERS_TABLE = pl.DataFrame({"user": range(40), "user_id": [f"u{i % 7}" for i in range(40)]})
ARRAYS = {"mean": np.arange(5.0), "count": np.array([7], np.int64)}


def write_table(path):
    parquet.write_table(USERS_TABLE, USERS, path, NOTE)


def read_table(path):
    return parquet.read_table(path, USERS).rows(), parquet.read_provenance(path)


def write_vectors(path):
    rng = np.random.default_rng(0)
    with vectors.vector_writer(path, "item_vectors", 4, np.float32, NOTE) as writer:
        writer.write({"item": [1, 2], "item_id": ["a", "b"]}, rng.normal(size=(2, 4)))


def read_vectors(path):
    read = vectors.read_vectors(path)
    rows = read.matrix.tobytes(), read.ids.to_list(), read.index.tolist()
    return rows, parquet.read_provenance(path)


def write_tensors(path):
    tensors.write_tensors(path, ARRAYS, NOTE)


def read_tensors(path):
    arrays, note = tensors.read_tensors(path)
    return [(n, a.dtype, a.shape, a.tobytes()) for n, a in arrays.items()], note


KINDS = {
    "a table": (write_table, read_table),
    "vectors": (write_vectors, read_vectors),
    "tensors": (write_tensors, read_tensors),
}
kinds = pytest.mark.parametrize(("write", "read"), KINDS.values(), ids=KINDS)


def read_or_refuse(read, path):
    """What a file holds, or None where it was refused in one line that names it and a way out."""
    try:
        return read(path)
    except InputError as refusal:
        line = str(refusal)
        assert line.startswith(f"{path}: "), line
        assert "\n" not in line
        return None


@kinds
def test_no_flipped_bit_and_no_cut_is_read_as_another_content(tmp_path, write, read):
    path = tmp_path / "file"
    write(path)
    content, whole = path.read_bytes(), read(path)
    rng = np.random.default_rng(0)
    n_refused, offsets = 0, rng.permutation(len(content))[: len(content) // 2]
    for offset in offsets:
        damaged = bytearray(content)
        damaged[offset] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        value = read_or_refuse(read, path)
        assert value is None or value == whole, offset
        n_refused += value is None
    assert n_refused > 0.9 * len(offsets)
    for size in range(0, len(content), 13):
        path.write_bytes(content[:size])
        assert read_or_refuse(read, path) is None, size


def test_a_table_of_someone_else_needs_no_digest(tmp_path):
    table = pa.table({"user": pa.array(range(40), pa.int32()), "user_id": ["u"] * 40})
    pq.write_table(table, tmp_path / "foreign")
    assert len(parquet.read_table(tmp_path / "foreign", USERS)) == 40


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def test_a_file_that_changes_while_a_process_lives_is_read_again(tmp_path):
    path = tmp_path / "users.parquet"
    write_table(path)
    read_table(path)
    flip(path)
    with pytest.raises(InputError, match=r"users\.parquet: damaged, its checksum differs; delete"):
        read_table(path)


@pytest.mark.parametrize("name", ["interactions", "items", "vectors"])
def test_a_stage_that_is_given_a_damaged_table_says_which_and_writes_nothing(
    tmp_path, capsys, name
):
    write_inputs(tmp_path)
    flip(tmp_path / f"{name}.parquet")
    before = sorted(tmp_path.iterdir())
    assert train_backbone.main(train_options(tmp_path)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{name}.parquet: " in line
    assert line.endswith("; delete it and run again.")
    assert sorted(tmp_path.iterdir()) == before
