"""Refining on files: what is written, and what is refused."""

import numpy as np
import pyarrow as pa
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
    spectrum = parquet.read_table(folder / "spectrum.parquet", SPECTRUM)
    assert spectrum["component"].to_list() == list(range(1, 13))
    arrays, map_note = read_tensors(folder / "map.safetensors")
    assert map_note.facts == note.facts
    for column, name in (("singular_value", "spectrum"), ("gain", "gain")):
        expected = np.pad(arrays[name], (0, 12 - len(arrays[name])))
        np.testing.assert_array_equal(spectrum[column], expected)
    geometry = parquet.read_table(folder / "geometry.parquet", GEOMETRY)
    assert set(geometry["stage"]) == {"raw", "refined"}
    assert geometry["value"].is_finite().all()
    assert (geometry["refinement"] == "ace-lambda_2").all()


def test_the_table_is_the_one_that_the_library_makes(folder):
    assert refine(folder, settings_of("ace")) == 0
    refined = read_vectors(folder / "refined.parquet").matrix
    vectors = VECTORS.astype(np.float32)
    expected = fit(vectors, dim=8, lambda_=2.0, gamma=0.1).transform(vectors)
    np.testing.assert_allclose(refined, expected, rtol=1e-5, atol=1e-7)
    loaded = Refinement.load(folder / "map.safetensors")
    np.testing.assert_allclose(loaded.transform(vectors), refined, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", ["ace", "random"])
def test_the_geometry_is_that_of_the_rows_before_and_after(folder, method):
    assert refine(folder, settings_of(method)) == 0
    geometry = parquet.read_table(folder / "geometry.parquet", GEOMETRY)
    spectrum = parquet.read_table(folder / "spectrum.parquet", SPECTRUM)
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
    scale = parquet.read_provenance(folder / "refined.parquet").facts["scale"]
    if method == "ace":
        unscaled = rows.astype(float) / scale
        lost = unit(VECTORS).T - unit(VECTORS).T @ unscaled @ unscaled.T
        expected = np.linalg.norm(lost) ** 2 / 90
        assert result["reconstruction_error"] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(spectrum["gain"][:8], values / scale, rtol=1e-4)
    measures = {stage: set(geometry.filter(stage=stage)["measure"]) for stage in stages}
    more = {"neighbour_overlap"} | ({"reconstruction_error"} if method == "ace" else set())
    assert measures["refined"] - measures["raw"] == more


def test_beyond_the_limit_neighbors_are_measured_within_a_seeded_sample(folder, monkeypatch):
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


def test_a_single_item_is_refined_without_measures_of_pairs(tmp_path):
    write_vectors(tmp_path / "vectors.parquet", VECTORS[:1])
    assert factor(tmp_path) == refine(tmp_path, settings_of("random")) == 0
    geometry = parquet.read_table(tmp_path / "geometry.parquet", GEOMETRY)
    assert not {"mean_cosine", "neighbour_overlap"} & set(geometry["measure"])
    assert "partition_ratio" in set(geometry["measure"])


@pytest.mark.parametrize(
    ("target", "measure"),
    [({"effective_rank": 0.8}, "effective_rank_share"), ({"mean_cosine": 0.2}, "mean_cosine")],
)
def test_a_solved_lambda_gives_its_target_and_is_in_the_metadata(folder, target, measure):
    settings = settings_of("ace", target=target)
    settings.pop("lambda")
    assert refine(folder, settings) == 0
    geometry = parquet.read_table(folder / "geometry.parquet", GEOMETRY)
    result = geometry.filter(stage="refined", measure=measure)["value"].item()
    assert [result] == pytest.approx(list(target.values()), abs=1e-7)
    assert parquet.read_provenance(folder / "refined.parquet").facts["lambda"] > 0


@pytest.mark.parametrize("method", ["random", "ace", "whitenrec_plus"])
def test_a_second_run_writes_the_same_bytes(folder, method):
    runs = []
    for _ in range(2):
        assert factor(folder) == refine(folder, settings_of(method)) == 0
        runs.append([(folder / name).read_bytes() for name in ("factor.safetensors", *OUTPUTS)])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float16()), pa.list_(pa.float32(), 12), pa.large_list(pa.float64())]
)
def test_a_file_of_another_program_is_refined_by_its_own_columns(tmp_path, kind):
    write_foreign(tmp_path / "vectors.parquet", VECTORS, kind=kind)
    assert factor(tmp_path, *COLUMNS) == refine(tmp_path, settings_of("ace"), *COLUMNS) == 0
    refined = read_vectors(tmp_path / "refined.parquet")
    assert refined.ids[89] == "p89"
    np.testing.assert_array_equal(refined.index, np.arange(1, 91))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (settings_of("ace", dim=13), "dim: .*12.*got 13"),
        (settings_of("ace", **{"lambda": -1}), "lambda: .*>= 0.*-1"),
        ({"method": "ace", "dim": 8, "target": {"mean_cosine": 0.9999}}, "target.*got 0.9999"),
    ],
)
def test_settings_that_do_not_fit_are_refused_and_leave_nothing(folder, capfd, settings, message):
    capfd.readouterr()
    refused(capfd, refine(folder, settings), message)
    assert not any((folder / name).exists() for name in OUTPUTS)


def test_a_factor_of_other_vectors_is_refused(folder, capfd):
    write_vectors(folder / "vectors.parquet", VECTORS[::-1].copy())
    capfd.readouterr()
    refused(capfd, refine(folder, settings_of("ace")), "factor.safetensors: .*other vectors")


def test_a_failure_after_the_first_table_leaves_no_file(folder, capfd, monkeypatch):
    def fail(*arguments):
        raise parquet.InputError("no geometry")

    monkeypatch.setattr("ace_steps.steps.refine_vectors.geometry_table", fail)
    capfd.readouterr()
    refused(capfd, refine(folder, settings_of("ace")), "no geometry")
    assert not any((folder / name).exists() for name in OUTPUTS)
