"""Lists for users of the log and for new ones, through the step, against whole score tables."""

import numpy as np
import polars as pl
import pytest
import torch

from ace_steps.backbones.recommender import build_recommender
from ace_steps.io import tables
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tensors import read_tensors
from ace_steps.io.vectors import vector_writer
from ace_steps.sequences.inputs import read_inputs
from ace_steps.serving import recommend as recommending
from ace_steps.steps import recommend_items
from ace_steps.training.optimizers import load_weights
from tests.serving.made import KINDS, N_USERS, USER_IDS, use_options
from tests.training.made import random_histories, small_settings


@pytest.fixture(params=KINDS)
def trained(request, trained_folder):
    return trained_folder(request.param), request.param


@pytest.fixture
def sasrec(trained_folder):
    return trained_folder("sasrec")


def recommend(folder, *more, kind="sasrec", k=5, masking="--no-mask-seen"):
    out = folder / "recommendations.parquet"
    out.unlink(missing_ok=True)
    listing = ("--k", str(k), masking, "--recommendations", str(out))
    return recommend_items.main(use_options(folder, kind, *listing, *more))


def lists_of(folder):
    """Raw item ids by raw user id, in the order of their ranks, which start at 1."""
    table = read_table(folder / "recommendations.parquet", tables.RECOMMENDATIONS)
    grouped = table.group_by("user_id", maintain_order=True).agg("item_id", "rank")
    for ranks in grouped["rank"]:
        assert ranks.to_list() == list(range(1, len(ranks) + 1))
    return dict(grouped.select("user_id", "item_id").iter_rows())


def scores_of(folder, kind, histories):
    """(users, items) scores in float64, one history at a time, no block and no padding."""
    inputs = read_inputs(*(folder / f"{n}.parquet" for n in ("interactions", "items", "vectors")))
    settings = small_settings(KINDS[kind][0])
    model = build_recommender(inputs.matrix, inputs.item_encoder, settings, 1)
    load_weights(model, read_tensors(folder / "best.safetensors")[0])
    model.eval()
    rows = []
    with torch.inference_mode():
        items = model.items()
        for history in histories:
            latest = torch.tensor([list(history)[-model.network.longest_history :]])
            query = model.network.next_queries(latest, torch.tensor([latest.shape[1]]), items)
            rows.append((query.double() @ model.network.scored_items(items).double().T)[0, 1:])
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("masking", ["--mask-seen", "--no-mask-seen"])
def test_every_user_gets_the_best_items_after_the_whole_history(trained, masking):
    folder, kind = trained
    assert recommend(folder, kind=kind, masking=masking) == 0
    lists, read = lists_of(folder), random_histories()
    histories = np.split(read.items, read.offsets[1:-1])  # the test item is a part of each
    assert list(lists) == sorted(USER_IDS)
    for user, (history, row) in enumerate(
        zip(histories, scores_of(folder, kind, histories), strict=True)
    ):
        items = np.array([int(each.removeprefix("id")) for each in lists[USER_IDS[user]]])
        if masking == "--mask-seen":
            row[history - 1] = -np.inf
        np.testing.assert_allclose(row[items - 1], np.sort(row)[::-1][:5], rtol=0, atol=1e-5)


def write_histories(path, rows):
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "position"], orient="row")
    frame.write_parquet(path)
    return str(path)


def test_a_new_user_with_a_known_history_gets_the_list_of_that_user(sasrec):
    assert recommend(sasrec, masking="--mask-seen") == 0
    known, read = lists_of(sasrec), random_histories()
    rows = [
        (f"new {user}", f"id{item}", 10 * position)
        for user in range(N_USERS)
        for position, item in enumerate(read.items[read.offsets[user] : read.offsets[user + 1]])
    ]
    np.random.default_rng(0).shuffle(rows)  # the order is the column position, not the rows'
    path = write_histories(sasrec / "new.parquet", rows)
    assert recommend(sasrec, "--histories", path, masking="--mask-seen") == 0
    new = lists_of(sasrec)
    assert {f"new {user}": known[USER_IDS[user]] for user in range(N_USERS)} == new


def test_only_the_users_that_a_file_names_are_recommended_to(sasrec):
    assert recommend(sasrec) == 0
    everyone = lists_of(sasrec)
    (sasrec / "users.txt").write_text("u31\nu02\n")
    assert recommend(sasrec, "--users", str(sasrec / "users.txt")) == 0
    assert lists_of(sasrec) == {user: everyone[user] for user in ("u02", "u31")}


def test_a_list_written_in_many_pieces_is_the_same_table(sasrec, monkeypatch):
    assert recommend(sasrec) == 0
    whole = lists_of(sasrec)
    monkeypatch.setattr(recommending, "ROWS_AT_ONCE", 1)
    monkeypatch.setitem(recommending.SCORE_ROWS, "cpu", 7)
    assert recommend(sasrec) == 0
    assert lists_of(sasrec) == whole


def test_two_runs_are_the_same_bytes_and_say_what_they_were_made_of(sasrec):
    assert recommend(sasrec, k=3) == 0
    path = sasrec / "recommendations.parquet"
    once = path.read_bytes()
    assert recommend(sasrec, k=3) == 0
    assert path.read_bytes() == once
    note = read_provenance(path)
    assert note.inputs.keys() == {"interactions", "items", "vectors", "weights", "user_table"}
    assert (note.settings["k"], note.settings["mask_seen"]) == (3, False)
    assert (note.facts["backbone"], note.facts["seed"]) == ("b", 1)


def write_folded(folder, ids, *, step="fold_in_items", **facts):
    """Refined vectors of new items, long enough to be at the top of somebody's list."""
    path, note = folder / "folded.parquet", read_provenance(folder / "vectors.parquet")
    matrix = 30 * np.random.default_rng(1).standard_normal((len(ids), 8)).astype(np.float32)
    note = Provenance(step, facts=note.facts | facts)
    with vector_writer(path, "item_vectors", 8, np.float32, note) as writer:
        writer.write({"item": np.arange(1, len(ids) + 1), "item_id": ids}, matrix)
    return str(path)


def test_new_items_are_recommended_beside_the_trained_ones(sasrec):
    new_items = ("--new-items", write_folded(sasrec, ["new 1", "new 2"]))
    assert recommend(sasrec) == 0
    before = lists_of(sasrec)
    assert recommend(sasrec, *new_items, k=7) == 0
    after = lists_of(sasrec)
    assert {item for items in after.values() for item in items} >= {"new 1", "new 2"}
    for user, items in after.items():  # the trained ones keep their order
        assert [item for item in items if not item.startswith("new")][:5] == before[user]
    path = write_histories(sasrec / "h.parquet", [("a", "new 1", 0), ("a", "id4", 1)])
    assert recommend(sasrec, *new_items, "--histories", path) == 0


def test_new_items_can_be_moved_as_training_moved_the_others(sasrec):
    new_items = ("--new-items", write_folded(sasrec, ["new 1"]))
    tables_of = []
    for more in ((), ("--map-new-items",)):
        assert recommend(sasrec, *new_items, *more, k=31) == 0
        table = read_table(sasrec / "recommendations.parquet", tables.RECOMMENDATIONS)
        tables_of.append(table.sort("user_id", "item_id"))
    plain, moved = tables_of
    is_new = plain["item_id"] == "new 1"
    assert plain.filter(~is_new)["score"].equals(moved.filter(~is_new)["score"])
    assert (plain.filter(is_new)["score"] != moved.filter(is_new)["score"]).all()
    assert read_provenance(sasrec / "recommendations.parquet").settings["map_new_items"] is True


REFUSED = {
    "no item": (lambda f: ("--k", "0"), "--k: expected at least 1, got 0"),
    "another run": (lambda f: ("--seed", "2"), "facts 'seed': expected 2, got 1"),
    "skipping nothing": (lambda f: ("--skip-unknown",), "--skip-unknown is for --histories"),
    "moving nothing": (lambda f: ("--map-new-items",), "--map-new-items needs --new-items"),
    "another map": (lambda f: new(f, ["n"], method="x"), "not folded in with the map of"),
    "raw vectors": (lambda f: new(f, ["n"], step="merge_vectors"), "not folded in with the map of"),
    "a known item": (lambda f: new(f, ["n", "id7"]), "1 of 2 items are in the catalog already"),
    "a table of other columns": (
        lambda f: ("--histories", str(f / "users.parquet")),
        "column 'item_id' of the table 'histories' is missing",
    ),
}


def new(folder, ids, **changes):
    return "--new-items", write_folded(folder, ids, **changes)


@pytest.mark.parametrize(("options", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(sasrec, capsys, options, text):
    more = options(sasrec)
    capsys.readouterr()
    assert recommend(sasrec, *more) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert text in line
    assert not (sasrec / "recommendations.parquet").exists()
