"""Item vectors as a language model gives them, sums of them, and runs of the refinement's steps."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import vector_writer
from ace_steps.refine.factor import factorize
from ace_steps.refine.gram import MomentSum
from ace_steps.refine.methods import FactoredVectors, parse_settings, prepare
from ace_steps.steps import factor_vectors, fold_in_items, gram_vectors, refine_vectors

COLUMNS = ("--id-column", "sku", "--vector-column", "embedding")  # of ``write_foreign``
SETTINGS = {  # one of each method, for vectors of at least 9 entries
    "random": {"dim": 8, "seed": 3},
    "llm2x": {"dim": 8},
    "svd": {"dim": 8, "gamma": 0.1},
    "whitening": {"dim": 8, "gamma": 0.1, "center": False},
    "ace": {"dim": 8, "gamma": 0.1, "lambda": 2.0},
    "whitenrec_plus": {"dim": 8, "gamma": None, "groups": 3},
    "alpharec": {"dim": 8, "gamma": None},
    "llmemb": {"dim": 8, "gamma": None},
    "alphafuse": {"dim": 8, "gamma": 1.0, "trainable_last": 3, "std": 1.0},
}


def item_vectors(n=60, dim=12, *, seed=0, rank=None):
    """(n, dim) float64 with one dominant direction and a falling spectrum."""
    generator = np.random.default_rng(seed)
    inner = min(rank or dim, dim)
    scores = generator.standard_normal((n, inner)) / np.arange(1, inner + 1) ** 0.8
    scores[:, 0] += 3.0
    basis = np.linalg.qr(generator.standard_normal((dim, dim)))[0][:inner]
    return scores @ basis


def unit(vectors):
    """Rows of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def moments_of(rows, chunk=7):
    """Gram matrix, sum and count of rows, added chunk by chunk."""
    total = MomentSum(rows.shape[1])
    for start in range(0, len(rows), chunk):
        total.add(np.ascontiguousarray(rows[start : start + chunk]))
    return total.moments()


def write_vectors(path: Path, vectors, *, dtype=np.float32, ids=None):
    """An item_vectors table of this package."""
    note = Provenance("embed_items")
    names = [f"i{row}" for row in range(len(vectors))] if ids is None else ids
    with vector_writer(path, "item_vectors", vectors.shape[1], dtype, note) as writer:
        writer.write({"item": np.arange(1, len(vectors) + 1), "item_id": names}, vectors)
    return path


def write_foreign(path: Path, rows, *, kind=None, id_column="sku", vector_column="embedding"):
    """A Parquet file that another program wrote: variable lists, its own column names."""
    column = pa.array([list(row) for row in rows], type=kind or pa.list_(pa.float64()))
    ids = pa.array([f"p{row}" for row in range(len(rows))])
    pq.write_table(pa.table({id_column: ids, vector_column: column}), path)
    return path


def refused(capfd, code, message):
    """One line on standard error that matches, and exit code 2."""
    lines = capfd.readouterr().err.splitlines()
    assert code == 2
    assert len(lines) == 1
    assert re.search(message, lines[0]), lines[0]


N, D, K = 90, 12, 8  # items, entries of a vector, and the dim in ``SETTINGS``
VECTORS = item_vectors(N, D)
ROWS = unit(VECTORS)
IDENTITY = ("--dataset", "toy", "--encoder", "tiny", "--refinement", "ace-lambda_2")
OUTPUTS = ("refined.parquet", "map.safetensors", "spectrum.parquet", "geometry.parquet")


def settings_of(method, **change):
    return {"method": method, **SETTINGS.get(method, {"dim": 8}), **change}


def parsed(values):
    text = values if isinstance(values, str) else json.dumps(values)
    return parse_settings(text, "--settings")


def factored(rows):
    moments = moments_of(rows)
    raw, centered = (factorize(moments, center=center) for center in (False, True))
    return FactoredVectors(raw, centered, lambda: iter([rows]))


def prepared(method, rows=ROWS, **change):
    return prepare(parsed(settings_of(method, **change)), factored(rows))


def refined_rows(method, rows=ROWS, chunk=N, **change):
    refinement = prepared(method, rows, **change)
    chunks = [refinement.apply(rows[i : i + chunk]) for i in range(0, len(rows), chunk)]
    return np.concatenate(chunks)


def gram(folder, shard, *extra):
    """Run gram_vectors; the exit code and the file of the shard's sums."""
    options = ["--vectors", str(folder / "vectors.parquet"), "--shard", shard, "--device", "cpu"]
    out = folder / f"{shard}.safetensors"
    return gram_vectors.main([*options, "--gram", str(out), *extra]), out


def factor(folder, *extra, name="factor.safetensors"):
    options = ["--vectors", str(folder / "vectors.parquet"), "--device", "cpu"]
    return factor_vectors.main([*options, "--factor", str(folder / name), *map(str, extra)])


def refine(folder, settings, *extra):
    names = ("refined", "map", "spectrum", "geometry")
    files = [x for n, f in zip(names, OUTPUTS, strict=True) for x in (f"--{n}", str(folder / f))]
    inputs = [str(folder / "vectors.parquet"), "--factor", str(folder / "factor.safetensors")]
    text = settings if isinstance(settings, str) else json.dumps(settings)
    options = ["--vectors", *inputs, "--settings", text, *IDENTITY, *files]
    return refine_vectors.main([*options, *extra])


def fold_in(folder, vectors, *extra, map_name="map.safetensors"):
    options = ["--vectors", str(vectors), "--map", str(folder / map_name)]
    return fold_in_items.main([*options, "--refined", str(folder / "folded.parquet"), *extra])
