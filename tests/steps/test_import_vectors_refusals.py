"""The step import_vectors refuses what it cannot use with one line."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.steps.made_vectors import IDS, VECTORS, N, write_ids, write_npy, write_parquet


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
