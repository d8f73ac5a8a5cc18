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


def of_bytes(folder, suffix, content=b"no such format"):
    path = folder / f"bad.{suffix}"
    path.write_bytes(content)
    return path


def pickled(folder):
    np.save(folder / "mine.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return folder / "mine.npy"


def tensor_of(folder, ids):
    return {"vectors": write_tensors(folder, a=torch.ones(N, 2), ids=ids)}


NO_LIST = "expected ids as a list of texts or whole numbers"
BAD_FILES = {
    "no such Parquet": (lambda f: {"vectors": f / "no.parquet"}, "no such file"),
    "no such npy": (lambda f: {"vectors": f / "no.npy"}, "no such file"),
    "no such safetensors": (lambda f: {"vectors": f / "no.safetensors"}, "no such file"),
    "no npy": (lambda f: {"vectors": of_bytes(f, "npy")}, "not a readable .npy file"),
    "no safetensors": (
        lambda f: {"vectors": of_bytes(f, "safetensors")},
        "not a readable .safetensors file",
    ),
    "no Parquet": (lambda f: {"vectors": of_bytes(f, "parquet")}, "not a readable Parquet file"),
    "a pickle": (lambda f: {"vectors": pickled(f)}, "not a readable .npy file"),
    "an npy without ids": (lambda f: {"vectors": write_npy(f, VECTORS)}, "as `ids`"),
    "tensors without ids": (lambda f: {"vectors": write_tensors(f, a=torch.ones(2, 2))}, "`ids`"),
    "whole numbers": (lambda f: {"vectors": write_npy(f, np.ones((N, 2), int))}, "got int64 of"),
    "a list": (lambda f: {"vectors": write_npy(f, np.ones(N))}, r"got float64 of \(30,\)"),
    "a tensor of bytes": (
        lambda f: {"vectors": write_tensors(f, a=torch.ones(2, 2, dtype=torch.uint8))},
        r"expected a matrix of floats \(rows, dim\), got U8 of \(2, 2\)",
    ),
    "several arrays": (
        lambda f: {"vectors": write_tensors(f, a=torch.ones(2, 2), b=torch.ones(2, 2))},
        "holds the arrays a, b; give the name of one as `vector_column`",
    ),
    "ids for Parquet": (
        lambda f: {"vectors": write_parquet(f, VECTORS, IDS), "ids": write_ids(f, IDS)},
        "leave out `ids`",
    ),
    "ids in bfloat16": (lambda f: tensor_of(f, torch.arange(N).bfloat16()), NO_LIST),
    "ids in a column": (lambda f: tensor_of(f, torch.arange(N)[:, None]), NO_LIST),
}


@pytest.mark.parametrize(("make", "text"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, make, text):
    with pytest.raises(InputError, match=text):
        join(tmp_path, **make(tmp_path))


BAD_IDS = {
    "no such file": (lambda f: f / "no.txt", "no.txt: no such file"),
    "one too few": (lambda f: write_ids(f, IDS[1:]), "30 rows, but 29 ids"),
    "floats": (lambda f: write_ids(f, np.arange(N) + 0.0, "npy"), NO_LIST),
    "no list": (lambda f: of_bytes(f, "json", b'{"a": 1}'), NO_LIST),
    "no JSON": (lambda f: of_bytes(f, "json", b"[1,"), "bad.json: not a readable .json file"),
    "no UTF-8": (lambda f: of_bytes(f, "txt", b"\xff\xfe"), "bad.txt: not a readable .txt file"),
}


@pytest.mark.parametrize(("make", "text"), BAD_IDS.values(), ids=BAD_IDS)
def test_ids_that_cannot_be_used_are_refused(tmp_path, make, text):
    with pytest.raises(InputError, match=text):
        join(tmp_path, vectors=write_npy(tmp_path, VECTORS), ids=make(tmp_path))


@pytest.mark.parametrize("changes", [{"vectors": "mine.csv"}, {"ids": "ids.csv"}])
def test_other_formats_are_refused_before_anything_is_read(changes):
    with pytest.raises(ValueError, match="csv"):
        PrecomputedSettings(**{"vectors": "mine.npy", **changes})
