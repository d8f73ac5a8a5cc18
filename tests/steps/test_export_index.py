"""Vectors for an index: plain products of what is written are the recommendations."""

import numpy as np
import pytest

from ace_steps.io import tables
from ace_steps.io.parquet import open_parquet, read_provenance, read_table
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import export_index, recommend_items
from tests.serving.made import KINDS, use_options, write_trained
from tests.training.made import N_ITEMS, WIDTH


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    write_trained(folder, request.param)
    outputs = ("--index-items", str(folder / "i.parquet"))
    outputs += ("--index-queries", str(folder / "q.parquet"))
    assert export_index.main(use_options(folder, request.param, *outputs)) == 0
    return folder, request.param


def test_plain_products_of_the_vectors_are_the_recommendations(exported):
    folder, kind = exported
    out = folder / "r.parquet"
    more = ("--k", str(N_ITEMS), "--no-mask-seen", "--recommendations", str(out))
    assert recommend_items.main(use_options(folder, kind, *more)) == 0
    items = read_vectors(folder / "i.parquet")
    queries = read_vectors(folder / "q.parquet", id_column="user_id")
    scores = queries.matrix.astype(np.float64) @ items.matrix.astype(np.float64).T
    table = read_table(out, tables.RECOMMENDATIONS)
    assert len(table) == scores.size
    user = {each: row for row, each in enumerate(queries.ids)}
    item = {each: column for column, each in enumerate(items.ids)}
    found = scores[
        [user[each] for each in table["user_id"]], [item[each] for each in table["item_id"]]
    ]
    np.testing.assert_allclose(table["score"].to_numpy(), found, rtol=0, atol=1e-5)
    falling = found.reshape(len(user), N_ITEMS)
    assert (np.diff(falling, axis=1) < 1e-5).all()


def test_the_bias_of_an_item_is_one_more_dimension(exported):
    folder, kind = exported
    with open_parquet(folder / "q.parquet") as file:
        width = file.schema_arrow.field("vector").type.list_size
    queries = read_vectors(folder / "q.parquet", id_column="user_id").matrix
    if kind.startswith("bert4rec"):
        assert width == WIDTH + 1
        assert (queries[:, -1] == 1).all()
    else:
        assert width == WIDTH


def test_the_files_say_which_metric_to_search_by_and_which_run_they_are_of(exported):
    folder, _ = exported
    for name in ("i.parquet", "q.parquet"):
        note = read_provenance(folder / name)
        assert note.step == "export_index"
        assert note.facts["metric"] == "inner_product"
        assert (note.facts["refinement"], note.facts["seed"]) == ("ace", 1)


def test_weights_of_another_run_are_refused(exported, capsys):
    folder, kind = exported
    outputs = ("--index-items", str(folder / "none.parquet"))
    outputs += ("--index-queries", str(folder / "none2.parquet"))
    capsys.readouterr()
    assert export_index.main(use_options(folder, kind, *outputs, "--seed", "2")) == 2
    assert "facts 'seed': expected 2, got 1" in capsys.readouterr().err
    assert not (folder / "none.parquet").exists()
