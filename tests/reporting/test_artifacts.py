from ace_steps.config.grid import Run
from ace_steps.reporting.artifacts import read_artifacts
from tests.reporting.made_report import collect, make
from tests.reporting.made_results import made_config


def test_a_lost_run_that_stands_for_every_encoder_is_missing_once(tmp_path):
    config = made_config([5], [1, 2], ("random",)) | {"report_on": "finished"}
    config["encoders"]["large"] = config["encoders"]["small"]
    make(tmp_path, config, {"random": 0.3, 5: 0.9})
    lost = Run("shop", "small", "random", "sasrec", 2)
    results = tmp_path / "results"
    results.joinpath("rank", *map(str, lost), "ranks.parquet").unlink()
    assert collect(tmp_path, config) == 0
    artifacts = read_artifacts(config, results, tmp_path / "benchmarks", tmp_path / "logs")
    assert [(gap.what, gap.n_runs) for gap in artifacts.missing] == [
        ("results/rank/shop/small/random/sasrec/2/ranks.parquet", 1)
    ]
