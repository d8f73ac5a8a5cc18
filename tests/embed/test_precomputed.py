"""Precomputed embeddings: formats of other people's files, ids, and files that cannot be used."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from ace_steps.embed.precomputed import join_vectors
from ace_steps.embed.settings import PrecomputedSettings
from ace_steps.errors import InputError

N, DIM = 30, 5
IDS = [f"id{number}" for number in range(1, N + 1)]
VECTORS = np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)
ORDER = np.random.default_rng(1).permutation(N)  # no file is in the order of the items
SHUFFLED = [IDS[row] for row in ORDER]


def join(folder, item_ids=IDS, **settings):
    """The vectors of the items with these ids, by the file that the settings name."""
    items = pl.DataFrame({"item": range(1, len(item_ids) + 1), "item_id": item_ids})
    settings = PrecomputedSettings(**{name: str(value) for name, value in settings.items()})
    return join_vectors(items, settings, scratch_folder=folder)


def write_parquet(folder, vectors, ids, *, kind=None, names=("item_id", "vector")):
    kind = kind or pa.list_(pa.float32(), vectors.shape[1])
    lists = pa.array(list(vectors.astype(np.float64)), pa.list_(pa.float64())).cast(kind)
    pq.write_table(pa.table([pa.array(ids), lists], names=list(names)), folder / "mine.parquet")
    return folder / "mine.parquet"


def write_ids(folder, ids, suffix="txt"):
    path = folder / f"ids.{suffix}"
    if suffix == "npy":
        np.save(path, np.array(ids))
        return path
    text = "\r\n".join(map(str, ids)) + "\n" if suffix == "txt" else json.dumps(ids)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())  # the mark that some editors put in front
    return path


def write_npy(folder, matrix):
    np.save(folder / "mine.npy", matrix)
    return folder / "mine.npy"


def write_tensors(folder, **tensors):
    save_file(tensors, folder / "mine.safetensors")
    return folder / "mine.safetensors"


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64(), DIM), pa.list_(pa.float32()), pa.large_list(pa.float64())],
)
def test_parquet_is_joined_by_id_whatever_its_order(tmp_path, kind):
    path = write_parquet(tmp_path, VECTORS[ORDER], SHUFFLED, kind=kind)
    joined = join(tmp_path, vectors=path)
    np.testing.assert_array_equal(joined.matrix, VECTORS)
    (piece,) = joined.pieces()
    assert piece.ids.to_list() == IDS
    np.testing.assert_array_equal(piece.index, np.arange(1, N + 1))


def test_columns_have_any_name_and_vectors_of_no_item_are_counted(tmp_path):
    more = np.concatenate([VECTORS, np.full((2, DIM), np.nan, np.float32)])
    names = ("asin", "embedding")
    path = write_parquet(tmp_path, more, [*IDS, "x", "y"], names=names)
    joined = join(tmp_path, vectors=path, id_column="asin", vector_column="embedding")
    assert (joined.n_missing, joined.n_unused) == (0, 2)  # their NaN is no item's


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("suffix", ["txt", "json", "npy"])
def test_a_matrix_is_joined_by_the_ids_beside_it(tmp_path, suffix, dtype):
    matrix = torch.from_numpy(VECTORS[ORDER]).to(dtype)
    expected = torch.from_numpy(VECTORS).to(dtype).float().numpy()
    files = [write_tensors(tmp_path, anything=matrix)]
    if dtype != torch.bfloat16:
        files.append(write_npy(tmp_path, matrix.numpy()))
    for path in files:
        joined = join(tmp_path, vectors=path, ids=write_ids(tmp_path, SHUFFLED, suffix))
        np.testing.assert_array_equal(joined.matrix, expected)


def test_whole_numbers_are_ids_too(tmp_path):
    numbers = list(range(100, 100 + N))
    ids = [str(number) for number in numbers]
    tensors = {"vector": torch.from_numpy(VECTORS), "ids": torch.tensor(numbers)}
    path = write_tensors(tmp_path, **tensors, other=torch.zeros(2, 2))
    files = [{"vectors": path}, {"vectors": write_parquet(tmp_path, VECTORS, numbers)}]
    matrix = write_npy(tmp_path, VECTORS)
    files += [{"vectors": matrix, "ids": write_ids(tmp_path, numbers, s)} for s in ("json", "npy")]
    for settings in files:
        np.testing.assert_array_equal(join(tmp_path, ids, **settings).matrix, VECTORS)


@pytest.mark.parametrize("suffix", ["parquet", "npy"])
def test_many_rows_are_joined_in_chunks(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("ace_steps.embed.precomputed.CHUNK_ROWS", 7)
    monkeypatch.setattr("ace_steps.embed.precomputed.CHUNK_BYTES", 1)
    many = np.random.default_rng(0).standard_normal((200, DIM)).astype(np.float32)
    ids = [f"id{row}" for row in range(200)]
    settings = {"vectors": write_parquet(tmp_path, many, ids)}
    if suffix == "npy":
        settings = {"vectors": write_npy(tmp_path, many), "ids": write_ids(tmp_path, ids)}
    joined = join(tmp_path, ids[::-1], **settings)
    np.testing.assert_array_equal(np.concatenate([p.matrix for p in joined.pieces()]), many[::-1])


def test_missing_items_are_zeros_where_the_settings_say_so(tmp_path):
    path = write_parquet(tmp_path, VECTORS[4:], IDS[4:])
    with pytest.raises(InputError, match=r"4 of 30 .*'id1', 'id2', 'id3'\) .*missing_items: zero"):
        join(tmp_path, vectors=path)
    joined = join(tmp_path, vectors=path, missing_items="zero")
    np.testing.assert_array_equal(joined.matrix[4:], VECTORS[4:])
    assert not joined.matrix[:4].any()
    assert joined.n_missing == 4
    with pytest.raises(InputError, match="not those of the items"):
        join(tmp_path, [f"x{each}" for each in IDS], vectors=path, missing_items="zero")


def changed(row, value):
    vectors = VECTORS.copy()
    vectors[row] = value
    return vectors


BAD_VECTORS = {
    "NaN": (changed(6, np.nan), IDS, "the vector of item 'id7' holds NaN or infinity"),
    "zeros": (changed(6, 0), IDS, "the vector of item 'id7' is all zeros"),
    "beyond float32": (1e300 * VECTORS.astype(float), IDS, "'id1' holds NaN or infinity"),
    "an id twice": (VECTORS, [*IDS[:-1], "id3"], r"1 of 30 items \(e.g. 'id3'\) have several"),
}


@pytest.mark.parametrize(("vectors", "ids", "text"), BAD_VECTORS.values(), ids=BAD_VECTORS)
def test_vectors_that_cannot_be_used_are_refused(tmp_path, vectors, ids, text):
    path = write_parquet(tmp_path, vectors, ids, kind=pa.list_(pa.float64(), DIM))
    with pytest.raises(InputError, match=text):
        join(tmp_path, vectors=path)


@pytest.mark.parametrize("suffix", ["parquet", "npy", "safetensors"])
def test_a_file_that_is_missing_or_damaged_is_refused(tmp_path, suffix):
    path = tmp_path / f"mine.{suffix}"
    with pytest.raises(InputError, match="no such file"):
        join(tmp_path, vectors=path)
    path.write_bytes(b"no such format")
    with pytest.raises(InputError, match="not a readable"):
        join(tmp_path, vectors=path)


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "mine.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for settings in (
        {"vectors": tmp_path / "mine.npy"},
        {"vectors": write_tensors(tmp_path, a=torch.ones(1, 2)), "ids": tmp_path / "mine.npy"},
    ):
        with pytest.raises(InputError, match=r"mine.npy: not a readable \.npy file"):
            join(tmp_path, **settings)


UNUSABLE = {
    "a matrix without ids": ({}, "as `ids`"),
    "ids for Parquet": ({"vectors": "parquet", "ids": IDS}, "leave out `ids`"),
    "whole numbers": ({"vectors": np.ones((N, 2), int), "ids": IDS}, "floats .* got int64 of"),
    "a list": ({"vectors": np.ones(N), "ids": IDS}, r"got float64 of \(30,\)"),
    "a tensor of bytes": ({"vectors": {"a": torch.ones(2, 2).byte()}}, r"got U8 of \(2, 2\)"),
    "several arrays": (
        {"vectors": {"a": torch.ones(2, 2), "b": torch.ones(2, 2)}},
        "holds the arrays a, b; give the name of one as `vector_column`",
    ),
    "tensors without ids": ({"vectors": {"a": torch.ones(2, 2)}}, "as `ids`"),
    "ids in bfloat16": (
        {"vectors": {"a": torch.ones(2, 2), "ids": torch.arange(2).bfloat16()}},
        "list of texts or whole numbers",
    ),
    "ids in a column": (
        {"vectors": {"a": torch.ones(2, 2), "ids": torch.arange(2)[:, None]}},
        "list of texts or whole numbers",
    ),
    "ids that are floats": ({"ids": [1.0] * N}, "ids.json: .* list of texts or whole numbers"),
    "no list of ids": ({"ids": b'{"a": 1}'}, "list of texts or whole numbers"),
    "ids that are no JSON": ({"ids": b"[1,"}, "ids.json: not a readable .json file"),
    "ids that are no UTF-8": ({"ids": b"\xff\xfe"}, "ids.json: not a readable .json file"),
    "an id too few": ({"ids": IDS[1:]}, "30 rows, but 29 ids"),
}


@pytest.mark.parametrize(("files", "text"), UNUSABLE.values(), ids=UNUSABLE)
def test_vectors_and_ids_that_do_not_fit_are_refused(tmp_path, files, text):
    vectors, ids = files.get("vectors", VECTORS), files.get("ids")
    if isinstance(vectors, dict):
        settings = {"vectors": write_tensors(tmp_path, **vectors)}
    elif isinstance(vectors, str):
        settings = {"vectors": write_parquet(tmp_path, VECTORS, IDS)}
    else:
        settings = {"vectors": write_npy(tmp_path, vectors)}
    if ids is not None:
        settings["ids"] = tmp_path / "ids.json"
        settings["ids"].write_bytes(ids if isinstance(ids, bytes) else json.dumps(ids).encode())
    with pytest.raises(InputError, match=text):
        join(tmp_path, **settings)


@pytest.mark.parametrize("changes", [{"vectors": "mine.csv"}, {"ids": "ids.csv"}])
def test_other_formats_are_refused_before_anything_is_read(changes):
    with pytest.raises(ValueError, match="csv"):
        PrecomputedSettings(**{"vectors": "mine.npy", **changes})
