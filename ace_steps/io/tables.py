"""Every table of the pipeline, declared once: columns in order, their meaning, and the key.

Reading and writing is ``ace_steps.io.parquet``'s.
"""

from dataclasses import dataclass

import pyarrow as pa

PADDING = 0  # the item index that stands for "no item"; never stored


@dataclass(frozen=True)
class TableSpec:
    """One kind of table: its columns in order, and the key it is unique in and sorted by."""

    name: str
    key: tuple[str, ...]
    schema: pa.Schema


def _column(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata={"meaning": meaning})


# Columns of several tables.
_DATASET = _column("dataset", pa.string(), "Name of the dataset in the configuration.")
_ENCODER = _column("encoder", pa.string(), "Name of the encoder in the configuration.")
_REFINEMENT = _column("refinement", pa.string(), "Refinement, with its grid point.")
_BACKBONE = _column("backbone", pa.string(), "Backbone, with its grid point.")
_SEED = _column("seed", pa.int64(), "Seed of the run.")
_REFINEMENT_ENTRY = _column("refinement_entry", pa.string(), "Name in the refinements' settings.")
_BACKBONE_ENTRY = _column("backbone_entry", pa.string(), "Name in the backbones' settings.")
_USER = _column("user", pa.int32(), "User index, dense from 0.")
_USER_ID = _column("user_id", pa.string(), "The user's id in the source.")
_ITEM_ID = _column("item_id", pa.string(), "The item's id in the source.")
_TEXT_SHA256 = _column(
    "text_sha256", pa.string(), "SHA-256 of the text's UTF-8 bytes, hexadecimal."
)
_SPLIT = _column("split", pa.string(), "valid or test.")
_SLICE = _column("slice", pa.string(), "Which targets: all, or one of the slices.")
_METRIC = _column("metric", pa.string(), "recall, ndcg or mrr.")
_CUTOFF = _column("cutoff", pa.int32(), "K of metric@K.")
_RUN = (_DATASET, _ENCODER, _REFINEMENT, _BACKBONE, _SEED)

RUN = tuple(field.name for field in _RUN)  # what identifies a trained run
VECTORS = RUN[:3]  # what identifies refined vectors


def _table(name: str, key: tuple[str, ...], *columns: pa.Field) -> TableSpec:
    return TableSpec(name, key, pa.schema(columns))


INTERACTIONS = _table(
    "interactions",
    ("user", "position"),
    _USER,
    _column("position", pa.int32(), "Position in the user's history, oldest is 0."),
    _column("item", pa.int32(), "Item index, dense from 1; 0 is padding, never stored."),
    _column("timestamp", pa.int64(), "Event time as the source gives it, in seconds."),
    _column("split", pa.string(), "train, valid or test."),
)

USERS = _table("users", ("user",), _USER, _USER_ID)

ITEMS = _table(
    "items",
    ("item",),
    _column("item", pa.int32(), "Item index, dense from 1."),
    _ITEM_ID,
    _column("text", pa.string(), "Text that the encoder encodes."),
    _TEXT_SHA256,
    _column("train_count", pa.int32(), "Events of the item in the train split."),
)

DATA_REPORT = _table(
    "data_report",
    ("statistic",),
    _column("statistic", pa.string(), "What was counted."),
    _column("value", pa.float64(), "The count or share."),
)

SPECTRUM = _table(
    "spectrum",
    (*VECTORS, "component"),
    *_RUN[:3],
    _column("component", pa.int32(), "Component of the raw vectors, strongest is 1."),
    _column("singular_value", pa.float64(), "Singular value s of the raw vectors."),
    _column("gain", pa.float64(), "Singular value of the refined vectors before scaling."),
)

GEOMETRY = _table(
    "geometry",
    (*VECTORS, "measure", "stage"),
    *_RUN[:3],
    _column("measure", pa.string(), "Name of the geometry measure."),
    _column("stage", pa.string(), "raw (the encoder's vectors) or refined."),
    _column("value", pa.float64(), "The measure's value."),
)

TRAINING_CURVE = _table(
    "training_curve",
    (*RUN, "epoch"),
    *_RUN,
    _column("epoch", pa.int32(), "Epoch, first is 1."),
    _column("loss", pa.float64(), "Mean training loss per target, in nats."),
    _column("seconds", pa.float64(), "Training time of the epoch."),
    _column("targets_per_s", pa.float64(), "Training targets per second."),
    _column("valid_recall_10", pa.float64(), "Recall@10 on the validation targets."),
    _column("valid_recall_20", pa.float64(), "Recall@20 on the validation targets."),
    _column("valid_ndcg_10", pa.float64(), "NDCG@10 on the validation targets."),
    _column("valid_ndcg_20", pa.float64(), "NDCG@20 on the validation targets."),
    _column("is_best", pa.bool_(), "True for the epoch whose weights were kept."),
)

RANKS = _table(
    "ranks",
    (*RUN, "split", "user"),
    *_RUN,
    _SPLIT,
    _USER,
    _column("item", pa.int32(), "The held-out target item."),
    _column("rank", pa.float64(), "Rank of the target among all items, 1 is best."),
    _column("n_ties", pa.int32(), "Other items with exactly the target's score."),
    _column("history_length", pa.int32(), "Events before the target."),
    _column("target_train_count", pa.int32(), "Events of the target in the train split."),
)

METRICS = _table(
    "metrics",
    (*RUN, "split", "slice", "metric", "cutoff"),
    *_RUN,
    _SPLIT,
    *(_SLICE, _METRIC, _CUTOFF),
    _column("value", pa.float64(), "Mean over the slice's targets, in [0, 1]."),
    _column("n_targets", pa.int32(), "Targets in the slice; an empty slice has no row."),
)

RUNS = _table(
    "runs",
    RUN,
    *_RUN,
    *(_REFINEMENT_ENTRY, _BACKBONE_ENTRY),
    _column("refinement_point", pa.string(), "The grid values of the refinement, as JSON."),
    _column("backbone_point", pa.string(), "The grid values of the backbone, as JSON."),
    _column("is_chosen", pa.bool_(), "True for its grid's best by validation."),
)

SELECTION = _table(
    "selection",
    ("dataset", "encoder", "refinement_entry", "backbone_entry", "refinement", "backbone"),
    *(_DATASET, _ENCODER),
    *(_REFINEMENT_ENTRY, _BACKBONE_ENTRY),
    *(_REFINEMENT, _BACKBONE, _SEED),
    *(_METRIC, _CUTOFF),
    _column("value", pa.float64(), "The metric on the validation targets, in [0, 1]."),
    _column("is_chosen", pa.bool_(), "True for the grid point that goes on to all seeds."),
)

COMPARISONS = _table(
    "comparisons",
    (
        *("dataset", "encoder", "backbone_entry", "refinement_a", "refinement_b"),
        *("slice", "metric", "cutoff"),
    ),
    *(_DATASET, _ENCODER),
    _BACKBONE_ENTRY,
    _column("refinement_a", pa.string(), "Entry whose gain is asked for."),
    _column("refinement_b", pa.string(), "Entry that it is compared with."),
    _column("role", pa.string(), "What b is to a: baseline, best_baseline, or both."),
    *(_SLICE, _METRIC, _CUTOFF),
    _column("n_users", pa.int32(), "Test users of the slice, all ranked by both."),
    _column("n_seeds", pa.int32(), "Seeds that both have, averaged for each user."),
    _column("mean_a", pa.float64(), "The metric of a, mean over users and seeds."),
    _column("mean_b", pa.float64(), "The metric of b, mean over users and seeds."),
    _column("difference", pa.float64(), "mean_a - mean_b."),
    _column("relative", pa.float64(), "mean_a / mean_b - 1; NaN where mean_b is 0."),
    _column("low", pa.float64(), "Lower end of the difference's bootstrap interval."),
    _column("high", pa.float64(), "Upper end of the difference's bootstrap interval."),
    _column("p", pa.float64(), "Two-sided p of the sign-flip test over users."),
    _column("p_holm", pa.float64(), "The same after Holm's correction over all rows."),
    _column("seed_deviation", pa.float64(), "Sample std of the difference over seeds, or NaN."),
    _column("p_seeds", pa.float64(), "Two-sided p, paired t-test over seeds, uncorrected, or NaN."),
)

GAPS = _table(
    "gaps",
    RUN,
    *_RUN,
    _column("stage", pa.string(), "Step that the run stopped at: its output is not there."),
    _column("reason", pa.string(), "Last line of that step's log; empty if it has none."),
)

HISTORIES = _table(
    "histories",
    ("user_id", "position"),
    _column("user_id", pa.string(), "Id of a user, of the caller's choice."),
    _ITEM_ID,
    _column("position", pa.int64(), "Order of the user's events, oldest is least."),
)

RECOMMENDATIONS = _table(
    "recommendations",
    ("user_id", "rank"),
    _USER_ID,
    _column("rank", pa.int32(), "Rank in the user's list, 1 is the best."),
    _ITEM_ID,
    _column("score", pa.float32(), "Inner product of the user's query and the item."),
)

COLD_ITEMS = _table(
    "cold_items",
    (*RUN, "vectors", "targets", "candidates", "metric", "cutoff"),
    *_RUN,
    _column(
        "vectors",
        pa.string(),
        "What stands for new items: folded_in, mapped (from there by least squares to the "
        "trained vectors), shuffled (another new item's), random.",
    ),
    _column("targets", pa.string(), "new: items hidden from training; known: all others."),
    _column("candidates", pa.string(), "What a target is ranked among: all or new items."),
    _METRIC,
    _CUTOFF,
    _column("value", pa.float64(), "Mean over the test targets, in [0, 1]."),
    _column("n_targets", pa.int32(), "Test targets that are averaged over."),
    _column("n_candidates", pa.int32(), "Items that each is ranked among."),
)


def vector_table(name: str, dim: int, kind: pa.DataType) -> TableSpec:
    """The table of one vector per item, query per user, or vector per distinct text.

    Args:
        name: ``item_vectors``, ``query_vectors`` or ``text_vectors``.
        dim: Entries of one vector.
        kind: float16 or float32.
    """
    columns = {
        "item_vectors": (ITEMS.schema.field("item"), _ITEM_ID),
        "query_vectors": (_USER_ID,),
        "text_vectors": (_TEXT_SHA256,),
    }[name]
    meaning = "The vector; unit length if the provenance says so."
    vector = _column("vector", pa.list_(pa.field("element", kind, nullable=False), dim), meaning)
    return _table(name, (columns[0].name,), *columns, vector)
