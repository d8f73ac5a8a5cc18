"""The step import_vectors, through its command line: formats, ids, refusals."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from ace_steps.io import parquet
from ace_steps.io.vectors import read_vectors
from tests.refine.builders import SETTINGS, factor, item_vectors, refine, settings_of
from tests.steps.made_vectors import IDS, VECTORS, WIDTH, N, write_ids, write_npy, write_parquet

ORDER = np.random.default_rng(1).permutation(N)  # no file is in the order of the items


def shuffled(values):
    return [values[place] for place in ORDER]


FORMATS = {
    "float32 of fixed dim": pa.list_(pa.float32(), WIDTH),
    "float64 of fixed dim": pa.list_(pa.float64(), WIDTH),
    "float32 of variable dim": pa.list_(pa.float32()),
    "float64 of large variable dim": pa.large_list(pa.float64()),
}


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS)
def test_parquet_is_joined_by_id_whatever_its_order(import_vectors, tmp_path, kind):
    path = write_parquet(tmp_path / "mine.parquet", VECTORS[ORDER], shuffled(IDS), kind=kind)
    code, log = import_vectors(vectors=path)
    assert code == 0
    assert "30 items of dim 5 from" in log
    found = read_vectors(tmp_path / "vectors.parquet")
    assert found.ids.to_list() == IDS
    np.testing.assert_array_equal(found.index, np.arange(1, N + 1))
    np.testing.assert_array_equal(found.matrix, VECTORS)


def test_columns_have_any_name_and_vectors_of_no_item_are_counted(import_vectors, tmp_path):
    more = np.concatenate([VECTORS, np.full((2, WIDTH), np.nan, np.float32)])
    names = ("asin", "embedding")
    path = write_parquet(tmp_path / "mine.parquet", more, [*IDS, "x", "y"], names=names)
    code, log = import_vectors(vectors=path, id_column="asin", vector_column="embedding")
    assert code == 0  # the NaN is no item's
    assert "0 without a vector, 2 vectors of no item" in log


@pytest.mark.parametrize("suffix", ["txt", "json", "npy"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_npy_matrix_is_joined_by_the_ids_beside_it(import_vectors, tmp_path, suffix, dtype):
    np.save(tmp_path / "mine.npy", VECTORS[ORDER].astype(dtype))
    ids = write_ids(tmp_path / f"ids.{suffix}", shuffled(IDS))
    assert import_vectors(vectors=str(tmp_path / "mine.npy"), ids=ids)[0] == 0
    found = read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(found, VECTORS.astype(dtype).astype(np.float32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_a_safetensors_matrix_is_joined_by_the_ids_beside_it(import_vectors, tmp_path, dtype):
    matrix = torch.from_numpy(VECTORS[ORDER]).to(dtype)
    save_file({"anything": matrix}, tmp_path / "mine.safetensors")
    ids = write_ids(tmp_path / "ids.txt", shuffled(IDS))
    assert import_vectors(vectors=str(tmp_path / "mine.safetensors"), ids=ids)[0] == 0
    found = read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(found, torch.from_numpy(VECTORS).to(dtype).float().numpy())


def test_whole_numbers_are_ids_too(import_vectors, tmp_path):
    numbered = pl.DataFrame({"item_id": [str(n) for n in range(100, 100 + N)]})
    items = parquet.read_table(tmp_path / "items.parquet", parquet_items())
    parquet.write_table(
        items.with_columns(numbered["item_id"]), parquet_items(), tmp_path / "items.parquet", note()
    )
    own = torch.arange(100, 100 + N)
    tensors = {"vector": torch.from_numpy(VECTORS), "ids": own, "other": torch.zeros(2, 2)}
    save_file(tensors, tmp_path / "mine.safetensors")
    assert import_vectors(vectors=str(tmp_path / "mine.safetensors"))[0] == 0
    found = read_vectors(tmp_path / "vectors.parquet")
    np.testing.assert_array_equal(found.matrix, VECTORS)
    path = write_parquet(tmp_path / "mine.parquet", VECTORS, own.tolist())
    assert import_vectors(vectors=path)[0] == 0


@pytest.mark.parametrize("suffix", ["txt", "json"])
def test_a_mark_before_the_first_id_is_none_of_it(import_vectors, tmp_path, suffix):
    settings = write_npy(tmp_path, VECTORS)
    ids = tmp_path / f"ids.{suffix}"
    write_ids(ids, IDS)
    ids.write_bytes(b"\xef\xbb\xbf" + ids.read_bytes())  # UTF-8's byte order mark
    assert import_vectors(**{**settings, "ids": str(ids)})[0] == 0
    found = read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(found, VECTORS)


def parquet_items():
    from ace_steps.io.tables import ITEMS

    return ITEMS


def note():
    from ace_steps.io.provenance import Provenance

    return Provenance(step="test")


def test_missing_items_are_an_error_with_a_count_and_examples(import_vectors, tmp_path):
    path = write_parquet(tmp_path / "mine.parquet", VECTORS[4:], IDS[4:])
    code, log = import_vectors(vectors=path)
    assert code == 2
    assert "4 of 30 items have no vector, e.g. 'id1', 'id2', 'id3'; with missing_items: zero" in log
    assert not (tmp_path / "vectors.parquet").exists()


def test_missing_items_are_zeros_where_the_configuration_says_so(import_vectors, tmp_path):
    path = write_parquet(tmp_path / "mine.parquet", VECTORS[4:], IDS[4:])
    code, log = import_vectors(vectors=path, missing_items="zero")
    assert code == 0
    assert "4 without a vector" in log
    found = read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(found[4:], VECTORS[4:])
    assert not found[:4].any()
    assert parquet.read_provenance(tmp_path / "vectors.parquet").facts["zero_items"] == 4


@pytest.mark.parametrize("method", SETTINGS)
def test_every_refinement_takes_vectors_with_zeros_for_missing_items(
    import_vectors, tmp_path, method
):
    vectors = item_vectors(N, 12).astype(np.float32)
    path = write_parquet(tmp_path / "mine.parquet", vectors[4:], IDS[4:])
    assert import_vectors(vectors=path, missing_items="zero")[0] == 0
    assert factor(tmp_path) == 0
    assert refine(tmp_path, settings_of(method)) == 0
    refined = read_vectors(tmp_path / "refined.parquet").matrix
    assert np.isfinite(refined).all()
    if method in ("svd", "ace", "whitening"):  # linear and not centered: zero to zero
        assert not refined[:4].any()
        assert refined[4:].any(axis=1).all()


def test_zeros_that_nobody_declared_are_still_refused_downstream(tmp_path, capsys):
    from tests.refine.builders import write_vectors

    vectors = item_vectors(N, 12)
    vectors[3] = 0
    write_vectors(tmp_path / "vectors.parquet", vectors)
    assert factor(tmp_path) == 2
    assert "has an all-zero vector" in capsys.readouterr().err


def test_only_strange_ids_are_refused_even_where_zeros_are_allowed(import_vectors, tmp_path):
    path = write_parquet(tmp_path / "mine.parquet", VECTORS, [f"x{item}" for item in IDS])
    code, log = import_vectors(vectors=path, missing_items="zero")
    assert code == 2
    assert "none of its ids is an item's" in log


def test_many_rows_are_joined_in_chunks(import_vectors, tmp_path, monkeypatch):
    monkeypatch.setattr("ace_steps.embed.precomputed.CHUNK_ROWS", 7)
    monkeypatch.setattr("ace_steps.embed.precomputed.CHUNK_BYTES", 1)
    path = write_parquet(tmp_path / "mine.parquet", VECTORS[ORDER], shuffled(IDS))
    assert import_vectors(vectors=path)[0] == 0
    found = read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(found, VECTORS)


def changed(row, value):
    vectors = VECTORS.copy()
    vectors[row] = value
    return vectors


BAD = {
    "NaN": (changed(6, np.nan), IDS, "the vector of item 'id7' holds NaN or infinity"),
    "zeros": (changed(6, 0), IDS, "the vector of item 'id7' is all zeros"),
    "an id twice": (VECTORS, [*IDS[:-1], "id3"], "1 items have several vectors, e.g. 'id3'"),
    "other ids": (VECTORS, [f"x{i}" for i in IDS], "30 of 30 items have no vector"),
}


@pytest.mark.parametrize(("vectors", "ids", "text"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used_is_one_line(import_vectors, tmp_path, vectors, ids, text):
    code, log = import_vectors(vectors=write_parquet(tmp_path / "mine.parquet", vectors, ids))
    assert code == 2
    assert text in log
    assert len(log.strip().splitlines()) == 1
    assert not (tmp_path / "vectors.parquet").exists()


def _tensors(folder, **tensors):
    save_file(tensors, folder / "mine.safetensors")
    return {"vectors": str(folder / "mine.safetensors")}


def _pickled(folder):
    np.save(folder / "mine.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return {"vectors": str(folder / "mine.npy"), "ids": "ids.txt"}


def _text(folder, suffix, text=b"no such format", **more):
    (folder / f"mine.{suffix}").write_bytes(text)
    return {"vectors": str(folder / f"mine.{suffix}"), **more}


def _bad_ids(folder, suffix, text):
    (folder / f"bad.{suffix}").write_bytes(text)
    return {**write_npy(folder, VECTORS), "ids": str(folder / f"bad.{suffix}")}


UNREADABLE = {
    "no such Parquet": (lambda f: {"vectors": str(f / "no.parquet")}, "no such file"),
    "no such npy": (lambda f: {"vectors": str(f / "no.npy"), "ids": "i.txt"}, "no such file"),
    "no such safetensors": (lambda f: {"vectors": str(f / "no.safetensors")}, "no such file"),
    "no such ids": (lambda f: {**write_npy(f, VECTORS), "ids": str(f / "no.txt")}, "no such file"),
    "no npy": (lambda f: _text(f, "npy", ids="i.txt"), "not a readable .npy file"),
    "no safetensors": (lambda f: _text(f, "safetensors"), "not a readable safetensors file"),
    "no Parquet": (lambda f: _text(f, "parquet"), "not a readable Parquet file"),
    "a pickle": (_pickled, "not a readable .npy file"),
    "an npy without ids": (
        lambda f: {"vectors": write_npy(f, VECTORS)["vectors"]},
        "as `ids`",
    ),
    "ids for Parquet": (
        lambda f: {"vectors": write_parquet(f / "m.parquet", VECTORS, IDS), "ids": "i.txt"},
        "leave out `ids`",
    ),
    "a row too many": (lambda f: write_npy(f, VECTORS, IDS[1:]), "30 rows, but 29 ids"),
    "whole numbers": (
        lambda f: write_npy(f, np.ones((N, 2), int)),
        "a matrix of floats (rows, dim)",
    ),
    "a list": (
        lambda f: write_npy(f, np.ones(N)),
        "expected a matrix of floats (rows, dim), got float64 of (30,)",
    ),
    "several arrays": (
        lambda f: _tensors(f, a=torch.ones(2, 2), b=torch.ones(2, 2)),
        "holds the arrays a, b; give the name of one as `vector_column`",
    ),
    "a tensor of bytes": (
        lambda f: _tensors(f, a=torch.ones(2, 2, dtype=torch.uint8), ids=torch.arange(2)),
        "expected a matrix of floats (rows, dim), got U8 of (2, 2)",
    ),
    "tensors without ids": (lambda f: _tensors(f, a=torch.ones(2, 2)), "holds no array 'ids'"),
    "tensor ids in bfloat16": (
        lambda f: _tensors(f, a=torch.ones(N, 2), ids=torch.arange(N).bfloat16()),
        "as its array 'ids', got BF16 of shape (30,)",
    ),
    "tensor ids that are floats": (
        lambda f: _tensors(f, a=torch.ones(N, 2), ids=torch.arange(N).double()),
        "as its array 'ids', got F64 of shape (30,)",
    ),
    "tensor ids in a column": (
        lambda f: _tensors(f, a=torch.ones(N, 2), ids=torch.arange(N)[:, None]),
        "as its array 'ids', got I64 of shape (30, 1)",
    ),
    "npy ids that are floats": (
        lambda f: {**write_npy(f, VECTORS), "ids": write_ids(f / "i.npy", np.arange(N) + 0.0)},
        "expected a list of texts or whole numbers, got float64 of shape (30,)",
    ),
    "a table of text": (
        lambda f: _text(f, "csv"),
        "vectors: expected a .parquet file",
    ),
    "ids in a table of text": (
        lambda f: _bad_ids(f, "csv", b"id1"),
        "ids: expected ids of a matrix",
    ),
    "ids that are no list": (lambda f: _bad_ids(f, "json", b'{"a": 1}'), "a list of texts or"),
    "ids that are no JSON": (lambda f: _bad_ids(f, "json", b"[1,"), "bad.json: not readable"),
    "ids that are no UTF-8": (lambda f: _bad_ids(f, "txt", b"\xff\xfe"), "bad.txt: not readable"),
}


@pytest.mark.parametrize(("make", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_is_one_line(import_vectors, tmp_path, make, text):
    code, log = import_vectors(**make(tmp_path))
    assert code == 2
    assert text in log
    assert len(log.strip().splitlines()) == 1
    assert not (tmp_path / "vectors.parquet").exists()
