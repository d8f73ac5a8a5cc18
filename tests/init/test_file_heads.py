"""The first rows of files: bounded, decompressed, and refusals of what is no table."""

import gzip

import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.init.file_heads import read_head
from tests.init.shops import plain


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_packed_tables_are_read(compression, tmp_path):
    log, _ = plain(tmp_path)
    packed = tmp_path / "packed.csv"
    if compression == "gzip":
        packed.write_bytes(gzip.compress(log.read_bytes()))
    else:
        pl.read_csv(log).write_csv(packed, compression="zstd", check_extension=False)
    assert read_head(packed).table.equals(read_head(log).table)


def test_of_a_large_file_the_head_is_read(tmp_path):
    log, _ = plain(tmp_path)
    pl.read_csv(log).write_parquet(tmp_path / "log.parquet")
    whole = read_head(log)
    assert (whole.is_whole, whole.n_rows) == (True, 600)
    part = read_head(log, max_bytes=4_000)
    assert 100 < part.n_rows < 600
    assert part.table.equals(whole.table[: part.n_rows])
    rows = read_head(tmp_path / "log.parquet", max_rows=100)
    assert rows.n_rows == 100
    for head in (part, rows):
        assert not head.is_whole
        assert "first" in head.description()


@pytest.mark.parametrize("size", [40, 41, 42, 43])
def test_a_head_may_end_within_a_character(size, tmp_path):
    (tmp_path / "log.csv").write_text("a,b\n" + "éé,ü\n" * 20)
    assert set(read_head(tmp_path / "log.csv", max_bytes=size).table["a"]) == {"éé"}


def test_the_separator_is_the_one_that_the_reader_takes(tmp_path):
    (tmp_path / "a.csv").write_text("id,a|b|c\n1,x\n2,y\n3,z\n")
    assert read_head(tmp_path / "a.csv").table.columns == ["id", "a|b|c"]


@pytest.mark.parametrize("content", [b"a,a\n1,2\n", b"1,2\n3,4\n", b"a|b\n1|2\n"])
def test_a_text_without_a_header_that_the_reader_takes_is_no_table(content, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    assert read_head(tmp_path / "a.csv").table is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"PK\x03\x04\x14\x00\x00rest", "unpack"),
        (b"\x1f\x8bbroken", "not readable"),
        (b"PAR1broken", "not readable"),
        (b"\xff\xfea\0,\0b\0", "UTF-8"),
        ("id,title\n1,café\n".encode("latin-1"), "iconv"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_with_its_name(content, expected, tmp_path):
    wrong = tmp_path / "wrong.csv"
    if content is not None:
        wrong.write_bytes(content)
    with pytest.raises(InputError, match=rf"wrong\.csv: .*{expected}") as refusal:
        read_head(wrong)
    assert "\n" not in str(refusal.value)
