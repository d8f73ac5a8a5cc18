"""Thirty vectors with their items' ids, and files that hold them in formats of other people."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

N, WIDTH = 30, 5
IDS = [f"id{number}" for number in range(1, N + 1)]  # as write_items names them
VECTORS = np.random.default_rng(0).standard_normal((N, WIDTH)).astype(np.float32)


def write_parquet(path, vectors, ids, *, kind=None, names=("item_id", "vector")):
    kind = kind or pa.list_(pa.float32(), vectors.shape[1])
    columns = [pa.array(ids), pa.array(list(vectors.astype(np.float64)), pa.list_(pa.float64()))]
    pq.write_table(pa.table([columns[0], columns[1].cast(kind)], names=list(names)), path)
    return str(path)


def write_ids(path, ids):
    if path.suffix == ".txt":
        path.write_text("\r\n".join(ids) + "\n")
    elif path.suffix == ".json":
        path.write_text(json.dumps(ids))
    else:
        np.save(path, np.array(ids))
    return str(path)


def write_npy(folder, matrix, ids=IDS):
    np.save(folder / "mine.npy", matrix)
    return {"vectors": str(folder / "mine.npy"), "ids": write_ids(folder / "ids.txt", ids)}
