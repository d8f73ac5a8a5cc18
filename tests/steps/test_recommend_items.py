"""Lists for users of the log and for new ones, through the step, against whole score tables."""

import numpy as np
import polars as pl
import pytest
import torch

from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.io import tables
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tensors import read_tensors
from ace_steps.io.vectors import vector_writer
from ace_steps.sequences.inputs import read_inputs
from ace_steps.serving import recommend as recommending
from ace_steps.steps import recommend_items
from ace_steps.training.optimizers import load_weights
from tests.serving.made import KINDS, N_USERS, settings_of, use_options, user_ids, write_trained
from tests.training.made import N_ITEMS, WIDTH, random_histories


@pytest.fixture(scope="module", params=KINDS)
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_trained(folder, request.param)
    return folder, request.param


@pytest.fixture(scope="module")
def sasrec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sasrec")
    write_trained(folder, "sasrec")
    return folder


def recommend(folder, kind, *more, k=5, masking="--no-mask-seen"):
    out = folder / "recommendations.parquet"
    out.unlink(missing_ok=True)
    listing = ("--k", str(k), masking, "--recommendations", str(out))
    return recommend_items.main(use_options(folder, kind, *listing, *more))


def lists_of(folder):
    """Raw item ids by raw user id, in the order of their places, which start at 1."""
    table = read_table(folder / "recommendations.parquet", tables.RECOMMENDATIONS)
    grouped = table.group_by("user_id", maintain_order=True).agg("item_id", "rank")
    for places in grouped["rank"]:
        assert places.to_list() == list(range(1, len(places) + 1))
    return dict(grouped.select("user_id", "item_id").iter_rows())


def scores_of(folder, kind, histories):
    """(users, items) scores in float64, one history at a time, no block and no padding."""
    paths = [folder / f"{name}.parquet" for name in ("interactions", "items", "vectors")]
    inputs = read_inputs(*paths)
    settings = parse_backbone(settings_of(kind), "settings")
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
    assert recommend(folder, kind, masking=masking) == 0
    found, read = lists_of(folder), random_histories()
    histories = np.split(read.items, read.offsets[1:-1])  # the test item is a part of each
    scores = scores_of(folder, kind, histories)
    assert list(found) == sorted(user_ids())
    for user, (history, row) in enumerate(zip(histories, scores, strict=True)):
        wanted = [int(each.removeprefix("id")) for each in found[user_ids()[user]]]
        left = row.copy()
        if masking == "--mask-seen":
            left[history - 1] = -np.inf
        best = np.sort(left)[::-1][:5]
        np.testing.assert_allclose(left[np.array(wanted) - 1], best, rtol=0, atol=1e-5)


def write_histories(path, rows):
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "position"], orient="row")
    frame.write_parquet(path)
    return str(path)


def test_a_new_user_with_a_known_history_gets_the_list_of_that_user(trained):
    folder, kind = trained
    assert recommend(folder, kind, masking="--mask-seen") == 0
    known, read = lists_of(folder), random_histories()
    rows = [
        (f"new {user}", f"id{item}", 10 * place)
        for user in range(N_USERS)
        for place, item in enumerate(read.items[read.offsets[user] : read.offsets[user + 1]])
    ]
    np.random.default_rng(0).shuffle(rows)  # the order is the column position, not the rows'
    path = write_histories(folder / "new.parquet", rows)
    assert recommend(folder, kind, "--histories", path, masking="--mask-seen") == 0
    new = lists_of(folder)
    assert {f"new {user}": known[user_ids()[user]] for user in range(N_USERS)} == new


def test_only_the_users_that_a_file_names_are_recommended_to(sasrec):
    assert recommend(sasrec, "sasrec") == 0
    everyone = lists_of(sasrec)
    (sasrec / "users.txt").write_text("u31\n\nu02\nu31\n")
    assert recommend(sasrec, "sasrec", "--users", str(sasrec / "users.txt")) == 0
    assert lists_of(sasrec) == {user: everyone[user] for user in ("u02", "u31")}


def test_a_list_written_in_many_pieces_is_the_same_table(sasrec, monkeypatch):
    assert recommend(sasrec, "sasrec") == 0
    whole = lists_of(sasrec)
    monkeypatch.setattr(recommending, "ROWS_AT_ONCE", 1)
    monkeypatch.setitem(recommending.SCORE_ROWS, "cpu", 7)
    assert recommend(sasrec, "sasrec") == 0
    assert lists_of(sasrec) == whole


def test_two_runs_are_the_same_bytes_and_say_what_they_were_made_of(sasrec):
    assert recommend(sasrec, "sasrec", k=3) == 0
    path = sasrec / "recommendations.parquet"
    once = path.read_bytes()
    assert recommend(sasrec, "sasrec", k=3) == 0
    assert path.read_bytes() == once
    note = read_provenance(path)
    assert note.inputs.keys() == {"interactions", "items", "vectors", "weights", "user_table"}
    assert (note.settings["k"], note.settings["mask_seen"]) == (3, False)
    assert (note.facts["backbone"], note.facts["seed"]) == ("b", 1)


def test_more_items_than_there_are_gives_all_of_them(sasrec):
    assert recommend(sasrec, "sasrec", k=100) == 0
    assert {len(set(items)) for items in lists_of(sasrec).values()} == {N_ITEMS}


def refused(capsys, folder, *more, **changes):
    capsys.readouterr()
    assert recommend(folder, "sasrec", *more, **changes) == 2
    assert not (folder / "recommendations.parquet").exists()
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_unknown_items_are_refused_or_skipped_as_asked(sasrec, capsys):
    rows = [("a", "id3", 0), ("a", "id4", 1), ("b", "id4", 0), ("b", "x", 1), ("c", "y", 0)]
    path = write_histories(sasrec / "unknown.parquet", rows)
    line = refused(capsys, sasrec, "--histories", path)
    assert "2 items are not in the catalog, e.g. 'x', 'y'; leave them out with --skip-" in line
    assert recommend(sasrec, "sasrec", "--histories", path, "--skip-unknown") == 0
    assert "to 2 users out of 30 items, 2 events skipped" in capsys.readouterr().err
    skipped = lists_of(sasrec)
    path = write_histories(sasrec / "rest.parquet", [("a", "id3", 0), ("a", "id4", 1)])
    assert recommend(sasrec, "sasrec", "--histories", path) == 0
    assert lists_of(sasrec)["a"] == skipped["a"]


BAD = {
    "a position twice": (
        [("a", "id1", 4), ("a", "id2", 4)],
        "user 'a' has several events at position 4",
    ),
    "nobody left": ([("a", "x", 4)], "1 items are not in the catalog, e.g. 'x'"),
    "a null": ([("a", None, 4), ("a", "id1", 5)], "column 'item_id' holds nulls"),
    "a position that is no number": (
        [("a", "id1", "first")],
        "column 'position' is large_string and does not convert to int64",
    ),
}


@pytest.mark.parametrize(("rows", "message"), BAD.values(), ids=BAD)
def test_histories_that_cannot_be_used_are_refused(sasrec, capsys, rows, message):
    path = write_histories(sasrec / "bad.parquet", rows)
    assert message in refused(capsys, sasrec, "--histories", path)


def test_a_missing_column_and_a_missing_file_are_named(sasrec, capsys):
    pl.DataFrame({"user": [1]}).write_parquet(sasrec / "bad.parquet")
    line = refused(capsys, sasrec, "--histories", str(sasrec / "bad.parquet"))
    assert "bad.parquet: column 'user_id' of the table 'histories' is missing" in line
    assert "none.txt: no such file" in refused(capsys, sasrec, "--users", str(sasrec / "none.txt"))


def test_unknown_users_are_refused_with_examples(sasrec, capsys):
    (sasrec / "users.txt").write_text("u02\nnobody\n")
    line = refused(capsys, sasrec, "--users", str(sasrec / "users.txt"))
    assert "1 of 2 users are not known, e.g. 'nobody'" in line


def test_options_that_make_no_sense_are_refused(sasrec, capsys):
    assert "--k: expected at least 1, got 0" in refused(capsys, sasrec, k=0)
    assert "--skip-unknown is for --histories" in refused(capsys, sasrec, "--skip-unknown")


def write_folded(path, ids, facts, step="fold_in_items"):
    """Refined vectors of new items, long enough to be at the top of somebody's list."""
    matrix = 30 * np.random.default_rng(1).standard_normal((len(ids), WIDTH)).astype(np.float32)
    note = Provenance(step, facts=facts)
    with vector_writer(path, "item_vectors", WIDTH, np.float32, note) as writer:
        writer.write({"item": np.arange(1, len(ids) + 1), "item_id": ids}, matrix)
    return str(path)


def test_new_items_are_recommended_beside_the_trained_ones(trained):
    folder, kind = trained
    facts = read_provenance(folder / "vectors.parquet").facts
    path = write_folded(folder / "folded.parquet", ["new 1", "new 2"], facts)
    assert recommend(folder, kind) == 0
    before = lists_of(folder)
    assert recommend(folder, kind, "--new-items", path, k=7) == 0
    after = lists_of(folder)
    assert {item for items in after.values() for item in items} >= {"new 1", "new 2"}
    for user, items in after.items():  # the trained ones keep their order
        assert [item for item in items if not item.startswith("new")][:5] == before[user]


def test_a_history_may_hold_new_items(sasrec):
    facts = read_provenance(sasrec / "vectors.parquet").facts
    new = write_folded(sasrec / "folded.parquet", ["new 1"], facts)
    path = write_histories(sasrec / "h.parquet", [("a", "new 1", 0), ("a", "id4", 1)])
    assert recommend(sasrec, "sasrec", "--new-items", new, "--histories", path) == 0


def test_new_items_of_another_map_or_known_already_are_refused(sasrec, capsys):
    facts = read_provenance(sasrec / "vectors.parquet").facts
    other = write_folded(sasrec / "folded.parquet", ["n"], facts | {"lambda": 7})
    assert "not folded in with the map of" in refused(capsys, sasrec, "--new-items", other)
    raw = write_folded(sasrec / "folded.parquet", ["n"], facts, step="merge_vectors")
    assert "not folded in with the map of" in refused(capsys, sasrec, "--new-items", raw)
    known = write_folded(sasrec / "folded.parquet", ["n", "id7"], facts)
    line = refused(capsys, sasrec, "--new-items", known)
    assert "1 of 2 items are in the catalog already, e.g. 'id7'" in line


def test_new_items_can_be_moved_as_training_moved_the_others(sasrec, capsys):
    facts = read_provenance(sasrec / "vectors.parquet").facts
    path = write_folded(sasrec / "folded.parquet", ["new 1"], facts)
    lines = []
    for more in ((), ("--map-new-items",)):
        assert recommend(sasrec, "sasrec", "--new-items", path, *more, k=31) == 0
        table = read_table(sasrec / "recommendations.parquet", tables.RECOMMENDATIONS)
        lines.append(table.sort("user_id", "item_id"))
    is_new = lines[0]["item_id"] == "new 1"
    assert lines[0].filter(~is_new)["score"].equals(lines[1].filter(~is_new)["score"])
    assert (lines[0].filter(is_new)["score"] != lines[1].filter(is_new)["score"]).all()
    assert read_provenance(sasrec / "recommendations.parquet").settings["map_new_items"] is True
    line = refused(capsys, sasrec, "--map-new-items")
    assert "--map-new-items needs --new-items and a run with a trained table" in line
