"""Factoring and refining on files: what is written, and what is refused."""

import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.io import parquet
from ace_steps.io.tables import GEOMETRY, SPECTRUM
from ace_steps.io.tensors import read_tensors
from ace_steps.io.vectors import read_vectors
from ace_steps.refine import Refinement, fit
from tests.refine.builders import (
    COLUMNS,
    OUTPUTS,
    SETTINGS,
    VECTORS,
    factor,
    item_vectors,
    refine,
    refused,
    settings_of,
    unit,
    write_foreign,
    write_vectors,
)


@pytest.fixture
def folder(tmp_path):
    """A folder with item vectors and their factor."""
    write_vectors(tmp_path / "vectors.parquet", VECTORS)
    assert factor(tmp_path) == 0
    return tmp_path


@pytest.mark.parametrize("method", SETTINGS)
def test_every_method_writes_vectors_map_spectrum_and_geometry(folder, method):
    assert refine(folder, settings_of(method)) == 0
    refined = read_vectors(folder / "refined.parquet")
    note = parquet.read_provenance(folder / "refined.parquet")
    np.testing.assert_array_equal(refined.index, np.arange(1, 91))
    assert refined.ids.to_list() == [f"i{row}" for row in range(90)]
    assert refined.matrix.dtype == np.float32
    assert note.facts["method"] == method
    parts = note.facts["item_encoder"].get("parts", [8])
    assert sum(parts) == refined.matrix.shape[1]
    spectrum = parquet.read_table(folder / "spectrum.parquet", SPECTRUM)
    assert spectrum["component"].to_list() == list(range(1, 13))
    geometry = parquet.read_table(folder / "geometry.parquet", GEOMETRY)
    assert set(geometry["stage"]) == {"raw", "refined"}
    assert geometry["value"].is_finite().all()
    assert (geometry["refinement"] == "ace-lambda_2").all()


def test_the_table_is_the_one_that_the_library_makes(folder):
    assert refine(folder, settings_of("ace")) == 0
    refined = read_vectors(folder / "refined.parquet").matrix
    given = VECTORS.astype(np.float32)
    expected = fit(given, dim=8, lambda_=2.0, gamma=0.1).transform(given)
    np.testing.assert_allclose(refined, expected, rtol=1e-5, atol=1e-7)
    loaded = Refinement.load(folder / "map.safetensors")
    np.testing.assert_allclose(loaded.transform(given), refined, rtol=1e-5, atol=1e-7)


def test_the_geometry_is_that_of_the_rows_before_and_after(folder):
    assert refine(folder, settings_of("ace")) == 0
    geometry = parquet.read_table(folder / "geometry.parquet", GEOMETRY)
    stages = {"raw": VECTORS, "refined": read_vectors(folder / "refined.parquet").matrix}
    for stage, rows in stages.items():
        values = np.linalg.svd(unit(rows) if stage == "raw" else rows, compute_uv=False)
        shares = values / values.sum()
        cosines = unit(rows.astype(float)) @ unit(rows.astype(float)).T
        expected = {
            "mean_cosine": (cosines.sum() - 90) / (90 * 89),
            "top_share": values[0] ** 2 / (values**2).sum(),
            "effective_rank": np.exp(-(shares * np.log(shares)).sum()),
        }
        result = dict(geometry.filter(stage=stage).select("measure", "value").iter_rows())
        for measure, value in expected.items():
            assert result[measure] == pytest.approx(value, abs=1e-5), (stage, measure)
    refined = {"neighbour_overlap", "reconstruction_error"}
    measures = {stage: set(geometry.filter(stage=stage)["measure"]) for stage in stages}
    assert measures["refined"] - measures["raw"] == refined


def test_beyond_the_limit_neighbours_are_measured_within_a_seeded_sample(folder, monkeypatch):
    monkeypatch.setattr("ace_steps.refine.geometry.SAMPLE_ROWS", 30)
    assert factor(folder) == refine(folder, settings_of("ace")) == 0
    arrays, _ = read_tensors(folder / "factor.safetensors")
    refined = read_vectors(folder / "refined.parquet").matrix
    samples = [unit(rows[arrays["sample"]]) for rows in (VECTORS, refined)]
    nearest = [np.argsort(-rows @ rows.T)[:, 1:11] for rows in samples]  # first is the row itself
    expected = np.mean([len({*one} & {*other}) / 10 for one, other in zip(*nearest, strict=True)])
    geometry = parquet.read_table(folder / "geometry.parquet", GEOMETRY)
    assert len(arrays["sample"]) == 30
    result = geometry.filter(measure="neighbour_overlap")["value"].item()
    assert result == pytest.approx(expected, abs=1e-12)


def test_a_solved_lambda_is_in_the_metadata(folder):
    settings = settings_of("ace", target={"effective_rank": 0.8})
    settings.pop("lambda")
    assert refine(folder, settings) == 0
    facts = parquet.read_provenance(folder / "refined.parquet").facts
    assert facts["lambda"] > 0
    geometry = parquet.read_table(folder / "geometry.parquet", GEOMETRY)
    result = geometry.filter(stage="refined", measure="effective_rank_share")["value"].item()
    assert result == pytest.approx(0.8, abs=1e-9)
    assert read_tensors(folder / "map.safetensors")[1].facts["lambda"] == facts["lambda"]


@pytest.mark.parametrize("method", ["random", "ace", "whitenrec_plus"])
def test_a_second_run_writes_the_same_bytes(folder, method):
    runs = []
    for _ in range(2):
        assert factor(folder) == refine(folder, settings_of(method)) == 0
        runs.append([(folder / name).read_bytes() for name in ("factor.safetensors", *OUTPUTS)])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float16()),
        pa.list_(pa.float32(), 12),
        pa.large_list(pa.float64()),
        pa.list_(pa.float64()),
    ],
    ids=str,
)
def test_a_file_of_another_program_is_refined_by_its_own_columns(tmp_path, kind):
    rows = VECTORS.astype(np.float16) if "half" in str(kind) else VECTORS
    write_foreign(tmp_path / "vectors.parquet", rows, kind=kind)
    assert factor(tmp_path, *COLUMNS) == refine(tmp_path, settings_of("ace"), *COLUMNS) == 0
    refined = read_vectors(tmp_path / "refined.parquet")
    assert refined.ids[89] == "p89"
    np.testing.assert_array_equal(refined.index, np.arange(1, 91))


def test_many_row_groups_and_chunks_change_nothing_beyond_rounding(folder, monkeypatch):
    assert refine(folder, settings_of("ace")) == 0
    whole = read_vectors(folder / "refined.parquet").matrix
    table = pl.read_parquet(folder / "vectors.parquet")
    table.write_parquet(folder / "vectors.parquet", row_group_size=17)
    monkeypatch.setattr("ace_steps.refine.vector_files.chunk_rows", lambda dim: 7)
    assert factor(folder) == refine(folder, settings_of("ace")) == 0
    split = read_vectors(folder / "refined.parquet").matrix
    np.testing.assert_allclose(split, whole, rtol=1e-6, atol=1e-10)


def spoil(rows, row, value):
    rows = rows.copy()
    rows[row] = value
    return rows


BAD_VECTORS = {
    "NaN": (spoil(VECTORS, (4, 3), np.nan), r"item 'i4' \(row 4\) has NaN or infinity"),
    "infinity": (spoil(VECTORS, (88, 0), np.inf), r"item 'i88' \(row 88\) has NaN or infinity"),
    "an all-zero row": (spoil(VECTORS, 5, 0.0), r"item 'i5' \(row 5\) has an all-zero vector"),
    "no rows": (VECTORS[:0], "the table is empty"),
}


@pytest.mark.parametrize(("vectors", "message"), BAD_VECTORS.values(), ids=BAD_VECTORS)
def test_vectors_that_cannot_be_factored_are_refused(tmp_path, capfd, vectors, message):
    write_vectors(tmp_path / "vectors.parquet", vectors)
    refused(capfd, factor(tmp_path), message)
    assert not (tmp_path / "factor.safetensors").exists()


@pytest.mark.parametrize("n_rows", [7, 1000])
def test_an_id_that_comes_twice_is_refused_in_one_chunk_or_two(
    tmp_path, capfd, monkeypatch, n_rows
):
    monkeypatch.setattr("ace_steps.refine.vector_files.chunk_rows", lambda dim: n_rows)
    ids = [f"i{row}" for row in range(89)] + ["i7"]
    write_vectors(tmp_path / "vectors.parquet", VECTORS, ids=ids)
    refused(capfd, factor(tmp_path), "'item_id' holds 'i7' more than once; 1 such")


def test_a_file_of_another_program_that_cannot_be_used_is_refused(tmp_path, capfd):
    path = tmp_path / "vectors.parquet"
    write_foreign(path, [*VECTORS[:9], VECTORS[9][:4]])
    refused(capfd, factor(tmp_path, *COLUMNS), "row 9.*12 entries, got 4")
    refused(capfd, factor(tmp_path), "'item_id' is missing.*sku, embedding")
    column = pa.array(VECTORS.tolist(), pa.list_(pa.float64()))
    ids = pa.array([f"p{row}" if row != 31 else None for row in range(90)])
    pq.write_table(pa.table({"sku": ids, "embedding": column}), path)
    refused(capfd, factor(tmp_path, *COLUMNS), "'sku' is null in row 31")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (settings_of("ace", dim=13), "dim: .*12, got 13"),
        (settings_of("ace", **{"lambda": -1}), "lambda: .*>= 0.*-1"),
        (settings_of("whitenrec_plus", groups=5), "groups: .*12, got 5"),
        ('{"method": "ace"', "--settings: not JSON"),
        ({"method": "ace", "dim": 8, "target": {"mean_cosine": 0.9999}}, "target.*got 0.9999"),
    ],
)
def test_settings_that_do_not_fit_are_refused_and_leave_nothing(folder, capfd, settings, message):
    capfd.readouterr()
    refused(capfd, refine(folder, settings), message)
    assert not any((folder / name).exists() for name in OUTPUTS)


def test_a_rank_that_is_too_low_is_logged_and_refused(tmp_path, capfd):
    write_vectors(tmp_path / "vectors.parquet", item_vectors(90, 12, rank=5))
    assert factor(tmp_path) == 0
    assert "rank deficient: 7 of 12" in capfd.readouterr().err
    refused(capfd, refine(tmp_path, settings_of("ace")), "dim: .*5, got 8.*rank 5, with 90 items")


def test_a_factor_of_other_vectors_is_refused(folder, capfd):
    write_vectors(folder / "vectors.parquet", VECTORS[::-1].copy())
    capfd.readouterr()
    refused(capfd, refine(folder, settings_of("ace")), "factor.safetensors: .*other vectors")


def test_an_id_that_became_double_leaves_no_refined_table(folder, capfd, monkeypatch):
    monkeypatch.setattr("ace_steps.refine.vector_files.UniqueIds.check", _refuse)
    capfd.readouterr()
    refused(capfd, refine(folder, settings_of("ace")), "twice")
    assert not (folder / "refined.parquet").exists()


def _refuse(self):
    raise parquet.InputError("twice")


def test_on_a_cpu_the_factor_step_does_without_torch(tmp_path):
    write_vectors(tmp_path / "vectors.parquet", VECTORS)
    code = (
        "import sys; from ace_steps.steps import factor_vectors; "
        "code = factor_vectors.main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    )
    options = ["--vectors", tmp_path / "vectors.parquet", "--device", "cpu"]
    command = [sys.executable, "-c", code, *options, "--factor", tmp_path / "f.safetensors"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
