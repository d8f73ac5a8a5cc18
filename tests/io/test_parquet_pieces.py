import numpy as np
import polars as pl
import pytest

from ace_steps.io.parquet import read_table, write_table
from ace_steps.io.parquet_pieces import piece_writer
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import USERS

NOTE = Provenance("made")


def users(*index):
    return pl.DataFrame({"user": np.array(index, np.int32), "user_id": [f"u{i}" for i in index]})


def test_pieces_are_the_table_that_is_written_at_once(tmp_path):
    with piece_writer(tmp_path / "pieces.parquet", USERS, NOTE) as writer:
        for piece in (users(1, 0), users(), users(2), users(4, 3)):
            writer.write(piece)
    write_table(users(0, 1, 2, 3, 4), USERS, tmp_path / "once.parquet", NOTE)
    found = read_table(tmp_path / "pieces.parquet", USERS)
    assert found.equals(read_table(tmp_path / "once.parquet", USERS))
    assert writer.n_rows == 5


def test_no_piece_gives_an_empty_table(tmp_path):
    with piece_writer(tmp_path / "pieces.parquet", USERS, NOTE):
        pass
    assert read_table(tmp_path / "pieces.parquet", USERS).is_empty()


def write_pieces(path, *pieces):
    with piece_writer(path, USERS, NOTE) as writer:
        for piece in pieces:
            writer.write(piece)


@pytest.mark.parametrize("second", [(1, 5), (0, 7)])
def test_a_piece_that_does_not_follow_is_a_defect_and_leaves_no_file(tmp_path, second):
    with pytest.raises(ValueError, match=r"table 'users': \(\d,\) comes after \(1,\)"):
        write_pieces(tmp_path / "pieces.parquet", users(0, 1), users(*second))
    assert not list(tmp_path.iterdir())
