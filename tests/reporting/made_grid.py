"""A report's input of the paper's size, made of formulas and kept in memory."""

import copy
import json

import numpy as np
import polars as pl

from ace_steps import registry
from ace_steps.config import grid
from ace_steps.evaluation.completeness import Gap
from ace_steps.evaluation.metrics import CUTOFFS, METRICS, SLICES
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import COLD_ITEMS, RUN, VECTORS
from ace_steps.reporting.artifacts import Artifacts
from tests.reporting.made_results import made_config

DATASETS = ("beauty", "toys", "yelp", "ml-20m")
ENCODERS = ("smollm2", "minilm", "qwen3", "openai-3-large")
BACKBONES = ("sasrec", "gru4rec", "bert4rec")
SEEDS = [1, 2, 3, 4, 5]
SINGLES = ("whitenrec_plus", "alpharec", "llmemb", "alphafuse")
WIDTH, N_EPOCHS = 128, 40
MEASURES = ("mean_cosine", "effective_rank", "isoscore", "top_share", "partition_ratio")


def paper_config(datasets=DATASETS, encoders=ENCODERS, backbones=BACKBONES) -> dict:
    """Datasets, encoders and backbones crossed with nine refinements, three of them grids."""
    config = made_config([0, 1, 5, 20, 50, 200, 1000], SEEDS, ("random", "llm2x", "svd"))
    config["refinements"]["random"]["std"] = [0.01, 0.02, 0.05]
    for name in ("svd", "ace"):
        config["refinements"][name]["gamma"] = [0.05, 0.1]
    config["refinements"] |= {name: _defaults(registry.REFINEMENTS, name) for name in SINGLES}
    config["backbones"] = {name: _defaults(registry.BACKBONES, name) for name in backbones}
    for kind, names in (("datasets", datasets), ("encoders", encoders)):
        (pattern,) = config[kind].values()
        config[kind] = {name: copy.deepcopy(pattern) for name in names}
    for backbone in config["backbones"].values():
        backbone["training"]["lr"] = [0.0005, 0.001, 0.002]
    return config


def _defaults(entries: dict, name: str) -> dict:
    """The settings of a refinement or backbone of which nothing is said."""
    return entries[name].settings_class()().as_json()


def paper_artifacts(config: dict) -> Artifacts:
    """What a finished run of a configuration leaves: every point on the first seed, the chosen on
    all; two runs failed.
    """
    generator = np.random.default_rng(0)
    runs = _runs(config)
    gap = Gap(
        "results/train/yelp/qwen3/llmemb/gru4rec/5/training_curve.parquet",
        2,
        "logs/train_backbone/yelp/qwen3/llmemb/gru4rec/5.log",
        "2026-11-23 16:12:02,118 train_backbone: the loss is nan at epoch 3; lower lr.",
    )
    refined = runs.select(VECTORS).unique(maintain_order=True)
    pairs = runs.select(VECTORS[:2]).unique(maintain_order=True).rows()
    counts = {
        **{"n_texts": 1340, "n_tokens": 51_901, "n_tokens_longest": 256, "n_truncated": 67},
        "max_tokens": 256,
    }
    facts = {"model": "a-model", "dtype": "bfloat16", **counts}
    return Artifacts(
        config=config,
        folder="results",
        benchmark_folder="logs/benchmarks",
        choice_file="results/report/selection.parquet",
        runs=runs,
        metrics=_metrics(runs, generator),
        data=_data(config),
        spectra=_spectra(refined),
        geometry=_geometry(refined, generator),
        curves=_curves(runs, generator),
        encoders={pair: Provenance("merge_vectors", facts=facts) for pair in pairs},
        refinements={},
        devices=dict.fromkeys(runs.select(RUN).iter_rows(), "cuda"),
        benchmarks=_benchmarks(runs),
        comparisons=_comparisons(config, generator),
        cold_items=pl.from_arrow(COLD_ITEMS.schema.empty_table()),
        missing=[gap],
    )


def _runs(config: dict) -> pl.DataFrame:
    rows = []
    points = {kind: grid.expand(config[kind]) for kind in ("refinements", "backbones")}
    firsts = {}
    for kind, found in points.items():
        for point in found.values():
            firsts.setdefault((kind, point.entry), point.name)
    for dataset in config["datasets"]:
        for encoder in config["encoders"]:
            for a in points["refinements"].values():
                for b in points["backbones"].values():
                    is_chosen = (
                        firsts["refinements", a.entry] == a.name
                        and firsts["backbones", b.entry] == b.name
                    )
                    rows += [
                        {
                            **dict(zip(RUN, (dataset, encoder, a.name, b.name, s), strict=True)),
                            "refinement_entry": a.entry,
                            "backbone_entry": b.entry,
                            "refinement_point": json.dumps(a.values),
                            "backbone_point": json.dumps(b.values),
                            "is_chosen": is_chosen,
                        }
                        for s in (config["seeds"] if is_chosen else config["seeds"][:1])
                    ]
    return pl.DataFrame(rows).with_row_index("order")


def _crossed(table: pl.DataFrame, **columns: list) -> pl.DataFrame:
    for name, values in columns.items():
        table = table.join(pl.DataFrame({name: values}), how="cross")
    return table


def _metrics(runs: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    table = _crossed(
        runs.select(RUN), split=["valid", "test"], slice=list(SLICES), metric=list(METRICS),
        cutoff=list(CUTOFFS),
    )  # fmt: skip
    values = generator.uniform(0.03, 0.06, len(table))
    return table.with_columns(
        pl.col("cutoff").cast(pl.Int32),
        value=pl.Series(values) * (1 + pl.col("cutoff").log()),
        n_targets=pl.lit(22_363, pl.Int32),
    )


def _data(config: dict) -> pl.DataFrame:
    stages, nouns = ("_raw", "_after_core", ""), ("users", "items", "events")
    counts = {noun + stage: 20_000.0 for stage in stages for noun in nouns}
    counts |= {f"users_with_history_{2**i:06d}_to_{2 ** (i + 1) - 1:06d}": 900.0 for i in range(7)}
    counts |= {"train_share_of_top_10_percent_items": 0.5, "density": 0.001}
    table = pl.DataFrame({"statistic": list(counts), "value": list(counts.values())})
    return pl.concat(table.with_columns(dataset=pl.lit(name)) for name in config["datasets"])


def _spectra(refined: pl.DataFrame) -> pl.DataFrame:
    places = np.arange(1, WIDTH + 1, dtype=np.int32)
    table = _crossed(refined, component=list(places))
    return table.with_columns(
        singular_value=100.0 / pl.col("component"),
        gain=1.0 / pl.col("component") ** (pl.col("refinement").hash(0) % 100 / 100),
    )


def _geometry(refined: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    table = _crossed(refined, measure=list(MEASURES), stage=["raw", "refined"])
    return table.with_columns(value=pl.Series(generator.uniform(0.1, 1, len(table))))


def _curves(runs: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    table = _crossed(runs.select(RUN), epoch=list(range(1, N_EPOCHS + 1)))
    noise = pl.Series(generator.uniform(0.9, 1.1, len(table)))
    score = (1 - (-pl.col("epoch") / 9).exp()) * 0.05 * noise
    return table.with_columns(
        loss=9 * noise * (-pl.col("epoch") / 30).exp(),
        seconds=4.5,
        targets_per_s=2000.0 + pl.col("epoch"),
        **{f"valid_{m}_{k}": score for m in ("recall", "ndcg") for k in (10, 20)},
        is_best=pl.col("epoch") == N_EPOCHS - 5,
    )


def _benchmarks(runs: pl.DataFrame) -> pl.DataFrame:
    rules = [
        "preprocess_dataset",
        "embed_items",
        "refine_vectors",
        "train_backbone",
        "rank_targets",
    ]
    table = _crossed(runs.select(job=pl.concat_str(RUN, separator="/")), rule=rules)
    return table.with_columns(
        seconds=pl.col("rule").str.len_chars() * 3.0, memory_mb=900.0, cpu_s=50.0
    )


def _comparisons(config: dict, generator: np.random.Generator) -> pl.DataFrame:
    entries = [name for name in config["refinements"] if name != "random"]
    table = _crossed(
        pl.DataFrame({"dataset": list(config["datasets"])}),
        encoder=list(config["encoders"]), backbone_entry=list(config["backbones"]),
        refinement_a=entries, slice=list(SLICES), metric=["recall", "ndcg"],
    )  # fmt: skip
    difference = pl.Series(generator.normal(0.002, 0.003, len(table)))
    return table.with_columns(
        cutoff=pl.lit(20, pl.Int32),
        refinement_b=pl.lit("random"),
        role=pl.lit("baseline"),
        n_users=pl.lit(22_363, pl.Int32),
        n_seeds=pl.lit(5, pl.Int32),
        mean_a=0.1 + difference,
        mean_b=0.1,
        difference=difference,
        relative=difference / 0.1,
        low=difference - 0.002,
        high=difference + 0.002,
        p=(-difference.abs() * 1000).exp(),
        p_holm=(-difference.abs() * 900).exp(),
        seed_deviation=0.001,
        p_seeds=0.04,
    )
