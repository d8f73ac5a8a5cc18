"""write_report where something is missing, damaged, or of another configuration."""

import re

from ace_steps.reporting.formatting import MISSING
from tests.reporting.made_report import make, text_of, write
from tests.reporting.made_results import made_config, write_benchmark


def test_what_is_missing_is_said_and_the_rest_stays_whole(tmp_path):
    make(tmp_path)
    results = tmp_path / "results"
    lost = [
        "preprocess/shop/data_report.parquet",
        "embed/shop/small/item_vectors.parquet",
        "refine/shop/small/random/spectrum.parquet",
        "train/shop/small/random/sasrec/1/training_curve.parquet",
    ]
    for name in lost:
        (results / name).unlink()
    for file in (tmp_path / "benchmarks").rglob("*.tsv"):
        file.unlink()
    assert write(tmp_path, figures=False) == 0
    page = text_of(tmp_path, "report.html")
    for name in lost:
        assert f">results/{name}</th>" in page
    assert "benchmark files, benchmarks/&lt;rule&gt;/&lt;identity&gt;.tsv" in page
    assert "No benchmark files were found" in page
    assert "ace (λ = 5)" in page


def test_everything_optional_may_be_missing(tmp_path):
    make(tmp_path)
    for stage in ("preprocess", "embed", "refine", "train"):
        for file in (tmp_path / "results" / stage).rglob("*.parquet"):
            file.unlink()
    assert write(tmp_path) == 0
    assert "No training curve was found." in text_of(tmp_path, "report.html")
    assert "No spectrum and no geometry were found." in text_of(tmp_path, "report.html")


def test_a_run_that_was_not_collected_is_said(tmp_path):
    make(tmp_path)
    factor = tmp_path / "results" / "factor" / "shop" / "small" / "factor.safetensors"
    factor.parent.mkdir(parents=True)
    factor.touch()
    wider = made_config([0, 5, 50, 500], [1], ("random", "whitening"))
    assert write(tmp_path, wider) == 0
    page = text_of(tmp_path, "report.html")
    assert "1 run without a result." in page
    lost = "results/refine/shop/small/ace-lambda_500/spectrum.parquet"
    (row,) = re.findall(rf"<tr>\s*<th[^>]*>{lost}<.*?</tr>", page, re.S)
    assert "none: never started" in row


def test_runs_of_another_configuration_are_refused(tmp_path, capfd):
    make(tmp_path)
    assert write(tmp_path, made_config([7], [1])) == 2
    assert "holds no run of this configuration; run collect_metrics" in capfd.readouterr().err


def test_a_damaged_table_is_refused_and_nothing_is_written(tmp_path, capfd):
    make(tmp_path)
    spectrum = tmp_path / "results/refine/shop/small/random/spectrum.parquet"
    spectrum.write_bytes(spectrum.read_bytes()[:-20])
    assert write(tmp_path) == 2
    error = capfd.readouterr().err
    assert str(spectrum) in error
    assert "run again" in error
    assert not (tmp_path / "results" / "report" / "report.html").exists()


def test_missing_metrics_are_refused(tmp_path, capfd):
    make(tmp_path)
    path = tmp_path / "results" / "report" / "metrics.parquet"
    path.unlink()
    assert write(tmp_path) == 2
    assert f"{path}: no such file." in capfd.readouterr().err


def test_time_spent_on_points_of_an_older_configuration_is_not_counted(tmp_path):
    make(tmp_path)
    old = tmp_path / "benchmarks/train_backbone/shop/small/ace-lambda_0.5/sasrec/1.tsv"
    write_benchmark(old, 360_000.0, 1.0)
    assert write(tmp_path) == 0
    page = text_of(tmp_path, "report.html")
    (row,) = re.findall(r"<tr>\s*<th[^>]*>train_backbone.*?</tr>", page, re.S)
    assert 'data-value="200"' in row  # five runs of 40 s


def test_a_file_that_is_no_benchmark_is_refused(tmp_path, capfd):
    make(tmp_path)
    path = tmp_path / "benchmarks/embed_items/shop/small/1-of-2.tsv"
    path.write_text("not\tours\n1\t2\n")
    assert write(tmp_path) == 2
    assert f"{path}: not a benchmark file of Snakemake" in capfd.readouterr().err


def test_what_snakemake_could_not_measure_is_no_number(tmp_path):
    make(tmp_path)
    path = tmp_path / "benchmarks" / "fetch_dataset" / "x.tsv"
    write_benchmark(path, 0.5, 1.0)
    path.write_text(path.read_text().replace("\t1.0\t9999.0", "\t-\t-"))
    assert write(tmp_path) == 0
    (row,) = re.findall(
        r"<tr>\s*<th[^>]*>fetch_dataset.*?</tr>", text_of(tmp_path, "report.html"), re.S
    )
    assert "0.5 s" in row
    assert MISSING in row
