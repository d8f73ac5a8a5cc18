"""The step import_vectors, through its command line: formats, refusals, and what follows it."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from ace_steps import parquet
from ace_steps.steps.import_vectors import main
from tests.refine.made import SETTINGS, made_vectors
from tests.refine.runs import factor, refine, settings_of
from tests.steps.made_items import write_items

N, WIDTH = 30, 5
IDS = [f"id{number}" for number in range(1, N + 1)]  # as write_items names them
VECTORS = np.random.default_rng(0).standard_normal((N, WIDTH)).astype(np.float32)
ORDER = np.random.default_rng(1).permutation(N)  # no file is in the order of the items


@pytest.fixture
def import_vectors(tmp_path, capsys):
    """The step on 30 items; its exit code and log."""
    write_items(tmp_path / "items.parquet", [f"text {item}" for item in IDS])

    def run(**settings):
        code = main(
            [
                *("--items", str(tmp_path / "items.parquet")),
                *("--vectors", str(tmp_path / "vectors.parquet")),
                *("--settings", json.dumps(settings)),
            ]
        )
        return code, capsys.readouterr().err

    return run


def write_parquet(path, vectors, ids, *, kind=None, names=("item_id", "vector")):
    kind = kind or pa.list_(pa.float32(), vectors.shape[1])
    columns = [pa.array(ids), pa.array(list(vectors.astype(np.float64)), pa.list_(pa.float64()))]
    pq.write_table(pa.table([columns[0], columns[1].cast(kind)], names=list(names)), path)
    return str(path)


def shuffled(values):
    return [values[place] for place in ORDER]


FORMATS = {
    "float32 of fixed width": pa.list_(pa.float32(), WIDTH),
    "float64 of fixed width": pa.list_(pa.float64(), WIDTH),
    "float32 of variable width": pa.list_(pa.float32()),
    "float64 of large variable width": pa.large_list(pa.float64()),
}


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS)
def test_parquet_is_joined_by_id_whatever_its_order(import_vectors, tmp_path, kind):
    path = write_parquet(tmp_path / "mine.parquet", VECTORS[ORDER], shuffled(IDS), kind=kind)
    code, log = import_vectors(vectors=path)
    assert code == 0
    assert "30 items of width 5 from" in log
    found = parquet.read_vectors(tmp_path / "vectors.parquet")
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


def write_ids(path, ids):
    if path.suffix == ".txt":
        path.write_text("\r\n".join(ids) + "\n")
    elif path.suffix == ".json":
        path.write_text(json.dumps(ids))
    else:
        np.save(path, np.array(ids))
    return str(path)


@pytest.mark.parametrize("suffix", ["txt", "json", "npy"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_npy_matrix_is_joined_by_the_ids_beside_it(import_vectors, tmp_path, suffix, dtype):
    np.save(tmp_path / "mine.npy", VECTORS[ORDER].astype(dtype))
    ids = write_ids(tmp_path / f"ids.{suffix}", shuffled(IDS))
    assert import_vectors(vectors=str(tmp_path / "mine.npy"), ids=ids)[0] == 0
    found = parquet.read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(found, VECTORS.astype(dtype).astype(np.float32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_a_safetensors_matrix_is_joined_by_the_ids_beside_it(import_vectors, tmp_path, dtype):
    matrix = torch.from_numpy(VECTORS[ORDER]).to(dtype)
    save_file({"anything": matrix}, tmp_path / "mine.safetensors")
    ids = write_ids(tmp_path / "ids.txt", shuffled(IDS))
    assert import_vectors(vectors=str(tmp_path / "mine.safetensors"), ids=ids)[0] == 0
    found = parquet.read_vectors(tmp_path / "vectors.parquet").matrix
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
    found = parquet.read_vectors(tmp_path / "vectors.parquet")
    np.testing.assert_array_equal(found.matrix, VECTORS)
    path = write_parquet(tmp_path / "mine.parquet", VECTORS, own.tolist())
    assert import_vectors(vectors=path)[0] == 0


def parquet_items():
    from ace_steps.tables import ITEMS

    return ITEMS


def note():
    from ace_steps.provenance import Provenance

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
    found = parquet.read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(found[4:], VECTORS[4:])
    assert not found[:4].any()
    assert parquet.read_provenance(tmp_path / "vectors.parquet").facts["zero_items"] == 4


@pytest.mark.parametrize("method", SETTINGS)
def test_every_refinement_takes_vectors_with_zeros_for_missing_items(
    import_vectors, tmp_path, method
):
    vectors = made_vectors(N, 12).astype(np.float32)
    path = write_parquet(tmp_path / "mine.parquet", vectors[4:], IDS[4:])
    assert import_vectors(vectors=path, missing_items="zero")[0] == 0
    assert factor(tmp_path) == 0
    assert refine(tmp_path, settings_of(method)) == 0
    refined = parquet.read_vectors(tmp_path / "refined.parquet").matrix
    assert np.isfinite(refined).all()
    if method in ("svd", "ace", "whitening"):  # linear and not centred: zero to zero
        assert not refined[:4].any()
        assert refined[4:].any(axis=1).all()


def test_zeros_that_nobody_declared_are_still_refused_downstream(tmp_path, capsys):
    from tests.refine.made import write_vectors

    vectors = made_vectors(N, 12)
    vectors[3] = 0
    write_vectors(tmp_path / "vectors.parquet", vectors)
    assert factor(tmp_path) == 2
    assert "has an all-zero vector" in capsys.readouterr().err


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


def test_only_strange_ids_are_refused_even_where_zeros_are_allowed(import_vectors, tmp_path):
    path = write_parquet(tmp_path / "mine.parquet", VECTORS, [f"x{item}" for item in IDS])
    code, log = import_vectors(vectors=path, missing_items="zero")
    assert code == 2
    assert "none of its ids is an item's" in log


def _npy(folder, matrix, ids=IDS):
    np.save(folder / "mine.npy", matrix)
    return {"vectors": str(folder / "mine.npy"), "ids": write_ids(folder / "ids.txt", ids)}


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
    return {**_npy(folder, VECTORS), "ids": str(folder / f"bad.{suffix}")}


UNREADABLE = {
    "no such Parquet": (lambda f: {"vectors": str(f / "no.parquet")}, "no such file"),
    "no such npy": (lambda f: {"vectors": str(f / "no.npy"), "ids": "i"}, "no such file"),
    "no such safetensors": (lambda f: {"vectors": str(f / "no.safetensors")}, "no such file"),
    "no such ids": (lambda f: {**_npy(f, VECTORS), "ids": str(f / "no.txt")}, "no such file"),
    "no npy": (lambda f: _text(f, "npy", ids="i"), "not a readable .npy file"),
    "no safetensors": (lambda f: _text(f, "safetensors"), "not a readable safetensors file"),
    "no Parquet": (lambda f: _text(f, "parquet"), "not a readable Parquet file"),
    "a pickle": (_pickled, "not a readable .npy file"),
    "an npy without ids": (lambda f: {"vectors": _npy(f, VECTORS)["vectors"]}, "`ids` is wanted"),
    "ids for Parquet": (
        lambda f: {"vectors": write_parquet(f / "m.parquet", VECTORS, IDS), "ids": "i.txt"},
        "`ids` is not for it",
    ),
    "a row too many": (lambda f: _npy(f, VECTORS, IDS[1:]), "30 rows, but 29 ids"),
    "whole numbers": (lambda f: _npy(f, np.ones((N, 2), int)), "a matrix of floats (rows, width)"),
    "a list": (lambda f: _npy(f, np.ones(N)), "float64 of shape (30,), but a matrix of floats"),
    "several arrays": (
        lambda f: _tensors(f, a=torch.ones(2, 2), b=torch.ones(2, 2)),
        "holds the arrays a, b; one, or the name of one as `vector_column`",
    ),
    "a tensor of bytes": (
        lambda f: _tensors(f, a=torch.ones(2, 2, dtype=torch.uint8), ids=torch.arange(2)),
        "U8 of shape (2, 2), but a matrix of floats",
    ),
    "tensors without ids": (lambda f: _tensors(f, a=torch.ones(2, 2)), "holds no array 'ids'"),
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


def test_many_rows_are_joined_in_chunks(import_vectors, tmp_path, monkeypatch):
    monkeypatch.setattr("ace_steps.embed.own_vectors.CHUNK_ROWS", 7)
    monkeypatch.setattr("ace_steps.embed.matrix_files.CHUNK_BYTES", 1)
    path = write_parquet(tmp_path / "mine.parquet", VECTORS[ORDER], shuffled(IDS))
    assert import_vectors(vectors=path)[0] == 0
    found = parquet.read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(found, VECTORS)
