"""The whole of preprocessing: hand-counted, stable under row order, faithful to the raw ids."""

import hashlib
import runpy

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ace_steps.errors import InputError
from ace_steps.preprocess.pipeline import build_dataset
from ace_steps.preprocess.raw_events import RawData
from ace_steps.preprocess.read_recbole import read
from ace_steps.preprocess.settings import Counts
from tests.conftest import ROOT
from tests.preprocess.settings import dataset_settings

OPEN = {"min_user_events": 1, "min_item_events": 1, "template": "{title}"}


def raw_data(events, titles=None):
    """Events as (user, item, time) or (user, item, time, rating), and a title for each item."""
    full = [(*event, None)[:4] for event in events]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Float64}
    log = pl.DataFrame(full, schema={**schema, "rating": pl.Float64}, orient="row")
    titles = titles or {item: f"title of {item}" for item in log["item_id"].unique()}
    names = {"item_id": list(titles), "title": list(titles.values())}
    return RawData(log, pl.DataFrame(names, schema={"item_id": pl.String, "title": pl.String}))


def build(events, titles=None, **changes):
    return build_dataset(raw_data(events, titles), dataset_settings(**OPEN | changes), "shop")


def report(dataset):
    return dict(dataset.data_report.iter_rows())


def histories(dataset):
    """Each raw user's raw items in order, with their split."""
    joined = dataset.interactions.join(dataset.users, on="user").join(dataset.items, on="item")
    rows = joined.sort("user", "position").select("user_id", "item_id", "timestamp", "split").rows()
    found = {}
    for user, *event in rows:
        found.setdefault(user, []).append(tuple(event))
    return found


def test_the_toy_has_the_counts_that_its_rule_says():
    raw = read(ROOT / "data/toy/toy.inter", ROOT / "data/toy/toy.item")
    found = report(build_dataset(raw, dataset_settings(), "toy"))
    expected = {
        "events_raw": 8 * (4 + 5 + 6 + 7 + 8) + 4,
        "users_raw": 41,
        "items_raw": 25,
        "events": 241,
        "users": 40,
        "items": 24,
        "events_test": 40,
        "events_valid": 40,
        "events_train": 161,
        "duplicate_events": 1,
        "tied_events_share": 2 / 241,
        "tied_test_targets_share": 0,
        "history_length_min": 4,
        "history_length_max": 8,
        "users_with_history_000004_to_000007": 32,
        "users_with_history_000008_to_000015": 8,
        "blank_texts": 0,
        "duplicate_texts": 0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_the_committed_toy_is_what_its_rule_writes(tmp_path):
    script = tmp_path / "make_toy.py"
    script.write_text((ROOT / "data/toy/make_toy.py").read_text())
    runpy.run_path(str(script), run_name="__main__")
    for name in ("toy.inter", "toy.item"):
        assert (tmp_path / name).read_bytes() == (ROOT / "data/toy" / name).read_bytes()


def test_every_number_of_the_report_on_a_log_counted_by_hand():
    events = [
        *[("u", item, time, 5) for item, time in (("a", 1), ("b", 2), ("c", 2), ("d", 2))],
        *[("v", item, time, 5) for item, time in (("a", 1), ("a", 3), ("b", 4))],
        ("w", "a", 9, 2),  # rated just well enough
        ("w", "e", 9, 1),  # rated too low
        ("w", "e", 99, 5),  # too late
    ]
    titles = {"a": "same", "b": "same", "c": "", "d": "long title", "e": "e"}
    limits = {"min_rating": 2, "time_start": "1970-01-01", "time_end": "1970-01-02"}
    texts = {"blank_text": "placeholder", "max_field_chars": 4}
    found = report(build(events, titles, **limits, **texts))
    assert found["events_raw"] == 10
    assert found["events_after_rating"] == 9
    assert found["events_after_window"] == 9  # second 99 is still on the first day
    assert found["users_train_only"] == 1  # w has two events
    assert found["events_train"] == 2 + 1 + 2
    assert found["duplicate_events"] == 1  # v has a twice
    assert found["tied_events_share"] == pytest.approx(3 / 9)
    assert found["tied_test_targets_share"] == 0.5  # u's last shares its time, v's does not
    # Held out for the test: d of u, never trained on, and b of v, which u is trained on.
    assert found["test_targets_unseen_share"] == 0.5
    # For validation: c of u, never trained on, and v's second a.
    assert found["valid_targets_unseen_share"] == 0.5
    assert found["items_unseen_in_train"] == 2
    assert found["blank_texts"] == 1
    assert found["duplicate_texts"] == 1
    assert found["shortened_fields"] == 1
    assert found["history_length_mean"] == 3
    assert found["users_with_history_000002_to_000003"] == 2
    assert found["users_with_history_000004_to_000007"] == 1
    # Training events of a, b, e: 3, 1, 1; a alone is the top 20 % of five items.
    assert found["train_share_of_top_20_percent_items"] == pytest.approx(3 / 5)
    assert found["density"] == pytest.approx(9 / 15)


def test_the_time_window_takes_its_first_day_and_not_its_last():
    day = 86_400
    events = [("u", "a", 0), ("u", "b", day), ("u", "c", 2 * day - 1), ("u", "d", 2 * day)]
    found = build([*events, ("u", "a", day + 1)], time_start="1970-01-02", time_end="1970-01-03")
    assert [item for item, *_ in histories(found)["u"]] == ["b", "a", "c"]


def test_equal_times_keep_file_order_and_unequal_ones_do_not():
    found = build([("u", "z", 5), ("u", "a", 5), ("u", "m", 1), ("u", "b", 5)])
    assert [(i, s) for i, _, s in histories(found)["u"]] == [
        ("m", "train"),
        ("z", "train"),
        ("a", "valid"),
        ("b", "test"),
    ]


def test_fractions_of_a_second_order_events_and_are_stored_rounded_down():
    found = build([("u", "a", 5.75), ("u", "b", 5.25), ("u", "c", 6)])
    assert [(i, t) for i, t, _ in histories(found)["u"]] == [("b", 5), ("a", 5), ("c", 6)]
    assert report(found)["tied_events_share"] == 0


def test_texts_and_their_digests_belong_to_their_items():
    found = build([("u", item, i) for i, item in enumerate("cab")], {"b": "B", "c": "C", "a": "A"})
    assert found.items.select("item", "item_id", "text").rows() == [
        (1, "a", "A"),
        (2, "b", "B"),
        (3, "c", "C"),
    ]
    assert found.items["text_sha256"][2] == hashlib.sha256(b"C").hexdigest()


LOGS = st.lists(
    st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcde"), st.integers(0, 3)),
    min_size=4,
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.filter_too_much], max_examples=40)
@given(LOGS, st.randoms(use_true_random=False), st.sampled_from(["all", "first", "last"]))
def test_no_order_of_the_raw_lines_changes_anything(events, random, duplicates):
    changes = {"tie_rule": "hashed", "duplicates": duplicates}
    try:
        one = build(events, **changes)
    except InputError:  # nobody has three events: nothing to validate on
        return
    other = build(random.sample(events, len(events)), **changes)
    assert one.interactions.equals(other.interactions)
    assert one.users.equals(other.users)
    assert one.items.equals(other.items)


@settings(max_examples=40)
@given(LOGS)
def test_ids_are_dense_and_lead_back_to_the_raw_events(events):
    try:
        found = build(events)
    except InputError:
        return
    assert found.users["user"].to_list() == list(range(len(found.users)))
    assert found.items["item"].to_list() == list(range(1, len(found.items) + 1))
    assert found.users["user_id"].is_sorted()
    assert found.items["item_id"].is_sorted()
    expected = {}
    for user, item, time in sorted(events, key=lambda event: event[2]):
        expected.setdefault(user, []).append((item, time))
    assert {u: [e[:2] for e in h] for u, h in histories(found).items()} == expected
    for _, history in found.interactions.group_by("user"):
        assert sorted(history["position"]) == list(range(len(history)))


def test_a_sample_of_users_keeps_the_core_and_is_drawn_by_seed():
    events = [(f"u{u:02}", f"i{(u + s) % 7}", s) for u in range(30) for s in range(5)]
    limits = {"min_user_events": 3, "min_item_events": 2, "max_users": 8}
    one, same, other = (build(events, **limits, seed=seed) for seed in (1, 1, 2))
    assert one.users.equals(same.users)
    assert not one.users.equals(other.users)
    assert len(one.users) == 8
    counts = one.interactions.group_by("item").len()["len"]
    assert counts.min() >= 2
    assert report(one)["users_after_core"] == 30


def test_a_global_split_leaves_no_future_in_training_and_counts_what_it_drops():
    events = [(user, "abcde"[s], 10 * s + k) for k, user in enumerate("uvwxyz") for s in range(5)]
    found = build(events, split="global_time", valid_share=0.2, test_share=0.2)
    by_split = {s: found.interactions.filter(pl.col("split") == s) for s in ("train", "valid")}
    assert by_split["train"]["timestamp"].max() < by_split["valid"]["timestamp"].min()
    assert report(found)["split_valid_from"] == 30
    assert report(found)["split_test_from"] == 40
    assert report(found)["events_after_split"] == 30
    assert report(found)["users_train_only"] == 0


def test_items_without_a_row_are_an_error_with_count_and_examples():
    events = [("u", item, i) for i, item in enumerate("abcde")]
    with pytest.raises(InputError, match=r"3 items of the log have no row .* e\.g\. b, d, e; set"):
        build(events, {"a": "A", "c": "C"})


def test_items_without_a_row_are_dropped_and_counted_if_asked():
    events = [("u", item, i) for i, item in enumerate("abcde")]
    found = build(events, {"a": "A", "c": "C", "e": "E"}, missing_items="drop")
    assert report(found)["events_after_missing_items"] == 3
    assert [item for item, *_ in histories(found)["u"]] == ["a", "c", "e"]


def test_an_item_that_the_core_drops_needs_no_row():
    events = [*[(u, i, t) for u in "uv" for t, i in enumerate("abc")], ("u", "rare", 0)]
    titles = {"a": "A", "b": "B", "c": "C"}
    assert len(build(events, titles, min_item_events=2).items) == 3


@pytest.mark.parametrize("n_wanted", [4, 2])
def test_a_deviation_from_the_expected_counts_is_a_warning_with_both_numbers(n_wanted):
    events = [("u", item, i) for i, item in enumerate("abc")]
    raw = raw_data(events)
    wanted = {"users": 1, "items": n_wanted, "events": 3}
    plain = dataset_settings(**OPEN)
    assert not build_dataset(raw, plain, "shop").warnings
    changed = plain.model_copy(update={"expected": Counts(**wanted)})
    found = build_dataset(raw, changed, "shop")
    assert found.warnings == [f"3 items found, but {n_wanted} expected"]
    assert report(found)["warning_items_expected"] == n_wanted
    assert report(found)["warning_items_found"] == 3
    assert "warning_users_found" not in report(found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_user_events": 9}, "no users and items are left of 3 events: none have at least 9"),
        ({"min_item_events": 2}, "no users and items are left"),
        ({"min_rating": 3}, "min_rating is set, but the log has events without a rating"),
        ({"time_start": "2030-01-01"}, "no events are left after the rating and time filters"),
        ({"max_users": 1, "min_user_events": 3}, None),
        ({"blank_text": "error"}, "1 items have no text, e.g. c"),
        (
            {"split": "global_time", "valid_share": 0.01, "test_share": 0.98},
            "the split 'global_time' leaves no train events",
        ),
    ],
)
def test_a_log_of_which_nothing_is_left_is_refused(changes, message):
    events = [("u", item, i) for i, item in enumerate("abc")]
    titles = {"a": "A", "b": "B", "c": "" if "blank_text" in changes else "C"}
    if message is None:
        assert len(build(events, titles, **changes).users) == 1
        return
    with pytest.raises(InputError, match=message):
        build(events, titles, **changes)


def test_amazon_beauty_has_the_published_counts(amazon_beauty):
    files = (amazon_beauty / f"amazon-beauty.{kind}" for kind in ("inter", "item"))
    wanted = dataset_settings(min_user_events=5, min_item_events=5, blank_text="placeholder")
    found = build_dataset(read(*files), wanted, "amazon-beauty")
    assert (len(found.users), len(found.items), len(found.interactions)) == (
        22_363,
        12_101,
        198_502,
    )
    splits = dict(found.interactions.group_by("split").len().iter_rows())
    assert splits == {"train": 198_502 - 2 * 22_363, "valid": 22_363, "test": 22_363}
    assert report(found)["blank_texts"] == 7
