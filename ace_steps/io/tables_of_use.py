"""The tables that come of using a trained model; declared as in ``ace_steps.io.tables``."""

import pyarrow as pa

from ace_steps.io.tables import ITEMS, RUN, USERS, TableSpec, _column, _identity

HISTORIES = TableSpec(
    name="histories",
    key=("user_id", "position"),
    schema=pa.schema(
        [
            _column("user_id", pa.string(), "Id of a user, of the caller's choice."),
            _column("item_id", pa.string(), "The item's id in the source."),
            _column("position", pa.int64(), "Order of the user's events, oldest is least."),
        ]
    ),
)

RECOMMENDATIONS = TableSpec(
    name="recommendations",
    key=("user_id", "rank"),
    schema=pa.schema(
        [
            USERS.schema.field("user_id"),
            _column("rank", pa.int32(), "Rank in the user's list, 1 is the best."),
            ITEMS.schema.field("item_id"),
            _column("score", pa.float32(), "Inner product of the user's query and the item."),
        ]
    ),
)

COLD_ITEMS = TableSpec(
    name="cold_items",
    key=(*RUN, "vectors", "targets", "candidates", "metric", "cutoff"),
    schema=pa.schema(
        [
            *_identity(*RUN),
            _column(
                "vectors",
                pa.string(),
                "What stands for new items: folded_in, mapped (from there by least squares to the "
                "trained vectors), shuffled (another new item's), random.",
            ),
            _column("targets", pa.string(), "new: items hidden from training; known: all others."),
            _column("candidates", pa.string(), "What a target is ranked among: all or new items."),
            _column("metric", pa.string(), "recall, ndcg or mrr."),
            _column("cutoff", pa.int32(), "K of metric@K."),
            _column("value", pa.float64(), "Mean over the test targets, in [0, 1]."),
            _column("n_targets", pa.int32(), "Test targets that are averaged over."),
            _column("n_candidates", pa.int32(), "Items that each is ranked among."),
        ]
    ),
)
