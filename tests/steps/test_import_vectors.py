"""The step import_vectors, through its command line, and what refinements do with its zeros."""

import json

import numpy as np
import polars as pl
import pytest

from ace_steps.io.parquet import read_provenance
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import import_vectors
from tests.refine.builders import SETTINGS, factor, item_vectors, refine, settings_of, write_vectors
from tests.steps.made_items import write_items

N = 30
VECTORS = item_vectors(N, 12).astype(np.float32)


def import_all_but_four(folder, **settings):
    """The exit code of the step on 30 items, of which the file lacks the first four."""
    write_items(folder / "items.parquet", [f"text {number}" for number in range(N)])
    columns = {"item_id": [f"id{number}" for number in range(5, N + 1)], "vector": VECTORS[4:]}
    pl.DataFrame(columns).write_parquet(folder / "mine.parquet")
    options = {"items": folder / "items.parquet", "vectors": folder / "vectors.parquet"}
    options |= {"settings": json.dumps({"vectors": str(folder / "mine.parquet"), **settings})}
    return import_vectors.main(
        [part for name, value in options.items() for part in (f"--{name}", str(value))]
    )


def test_missing_items_are_an_error_of_one_line(tmp_path, capsys):
    assert import_all_but_four(tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "4 of 30 items" in line
    assert not (tmp_path / "vectors.parquet").exists()


@pytest.mark.parametrize("method", SETTINGS)
def test_every_refinement_takes_zeros_for_missing_items(tmp_path, capsys, method):
    assert import_all_but_four(tmp_path, missing_items="zero") == 0
    assert "30 items of dim 12 from" in capsys.readouterr().err
    assert read_provenance(tmp_path / "vectors.parquet").facts["zero_items"] == 4
    vectors = read_vectors(tmp_path / "vectors.parquet").matrix
    np.testing.assert_array_equal(vectors[4:], VECTORS[4:])
    assert factor(tmp_path) == 0
    assert refine(tmp_path, settings_of(method)) == 0
    refined = read_vectors(tmp_path / "refined.parquet").matrix
    assert np.isfinite(refined).all()
    if method in ("svd", "ace", "whitening"):  # linear and not centered: zero to zero
        assert not refined[:4].any()
        assert refined[4:].any(axis=1).all()


def test_zeros_that_nobody_declared_are_refused_downstream(tmp_path, capsys):
    vectors = VECTORS.copy()
    vectors[3] = 0
    write_vectors(tmp_path / "vectors.parquet", vectors)
    assert factor(tmp_path) == 2
    assert "has an all-zero vector" in capsys.readouterr().err
