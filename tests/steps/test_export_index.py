"""Vectors for an index: plain products of what is written are the recommendations."""

import numpy as np
import pytest

from ace_steps.evaluation import ranking
from ace_steps.io import tables
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.vectors import read_vectors
from ace_steps.serving import recommend
from ace_steps.steps import export_index, recommend_items
from tests.serving.made import KINDS, use_options
from tests.training.made import N_ITEMS


def export(folder, kind, *more):
    outputs = ("--index-items", str(folder / "i.parquet"))
    outputs += ("--index-queries", str(folder / "q.parquet"))
    return export_index.main(use_options(folder, kind, *outputs, *more))


@pytest.mark.parametrize("kind", KINDS)
def test_plain_products_of_the_vectors_are_the_recommendations(trained_folder, kind, monkeypatch):
    folder = trained_folder(kind)
    out = folder / "r.parquet"
    more = ("--k", str(N_ITEMS), "--no-mask-seen", "--recommendations", str(out))
    assert recommend_items.main(use_options(folder, kind, *more)) == 0
    monkeypatch.setitem(ranking.USERS_AT_ONCE, "cpu", 7)
    monkeypatch.setattr(recommend, "ITEMS_AT_ONCE", 7)
    assert export(folder, kind) == 0
    items = read_vectors(folder / "i.parquet")
    queries = read_vectors(folder / "q.parquet", id_column="user_id")
    np.testing.assert_array_equal(items.index, np.arange(1, N_ITEMS + 1))
    table = read_table(out, tables.RECOMMENDATIONS)
    assert len(table) == len(queries) * len(items)
    scores = queries.matrix.astype(np.float64) @ items.matrix.astype(np.float64).T
    row, column = ({each: i for i, each in enumerate(ids)} for ids in (queries.ids, items.ids))
    products = scores[[row[u] for u in table["user_id"]], [column[i] for i in table["item_id"]]]
    np.testing.assert_allclose(table["score"].to_numpy(), products, rtol=0, atol=1e-5)
    if kind.startswith("bert4rec"):  # an item's bias is one more dimension
        assert (queries.matrix[:, -1] == 1).all()


def test_the_files_say_which_metric_to_search_by_and_which_run_they_are_of(trained_folder):
    assert export(trained_folder("sasrec"), "sasrec") == 0
    for name in ("i.parquet", "q.parquet"):
        note = read_provenance(trained_folder("sasrec") / name)
        assert note.step == "export_index"
        assert note.facts["metric"] == "inner_product"
        assert (note.facts["refinement"], note.facts["seed"]) == ("ace", 1)


def test_weights_of_another_run_leave_the_files_as_they_were(trained_folder, capsys):
    folder = trained_folder("sasrec")
    (folder / "i.parquet").write_bytes(b"old")
    assert export(folder, "sasrec", "--seed", "2") == 2
    assert "facts 'seed': expected 2, got 1" in capsys.readouterr().err
    assert (folder / "i.parquet").read_bytes() == b"old"
