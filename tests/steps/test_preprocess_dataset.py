"""The step preprocess_dataset, through its command line."""

import json

import polars as pl
import pytest

from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import DATA_REPORT, INTERACTIONS, ITEMS, USERS
from ace_steps.preprocess.read_recbole import RecboleSettings
from ace_steps.preprocess.settings import ROLES
from ace_steps.steps.preprocess_dataset import main
from tests.conftest import ROOT
from tests.preprocess.conftest import TOY

OUTPUTS = ("interactions", "users", "items", "data-report")


def arguments(folder, log=None, catalog=None, **changes):
    settings = {**TOY, **changes}
    options = ["--raw-interactions", str(log or ROOT / "data/toy/toy.inter")]
    options += ["--raw-items", str(catalog or ROOT / "data/toy/toy.item")]
    options += ["--dataset", "toy", "--settings", json.dumps(settings)]
    for name in OUTPUTS:
        options += [f"--{name}", str(folder / f"{name}.parquet")]
    return options


def test_the_toy_becomes_four_tables(tmp_path):
    assert main(arguments(tmp_path)) == 0
    tables = (INTERACTIONS, USERS, ITEMS, DATA_REPORT)
    written = {
        spec.name: read_table(tmp_path / f"{name}.parquet", spec)
        for name, spec in zip(OUTPUTS, tables, strict=True)
    }
    assert [len(written[name]) for name in ("interactions", "users", "items")] == [241, 40, 24]
    assert written["items"].row(0)[:3] == (
        1,
        "i00",
        "The toy item has the following attributes: \n title: red lamp; category: lamp; price: 5;",
    )
    walk = written["interactions"].filter(pl.col("user") == 3)["item"].to_list()
    assert walk == list(range(16, 23))  # u03 starts at item i15, which is number 16
    note = read_provenance(tmp_path / "items.parquet")
    assert note.step == "preprocess_dataset"
    assert note.inputs.keys() == {"raw_interactions", "raw_items"}
    stated = {key: note.settings[key] for key in TOY}
    assert stated == TOY
    assert note.settings == RecboleSettings.model_validate(TOY).as_json()  # defaults too


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        assert main(arguments(folder)) == 0
    for name in OUTPUTS:
        one, two = ((folder / f"{name}.parquet").read_bytes() for folder in folders)
        assert one == two


def test_a_deviation_from_the_expected_counts_is_logged_and_no_failure(tmp_path, capfd):
    assert main(arguments(tmp_path, expected={"users": 41, "items": 24, "events": 241})) == 0
    assert "toy: expected 41 users, got 40" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("log", "changes", "message"),
    [
        (None, {"min_user_event": 5}, "--settings: min_user_event: unknown key; did you mean"),
        (None, {"min_item_events": 500}, "no users and items are left of 244 events"),
        ("user_id:token\titem_id:token\ttimestamp:float\nu\ti00\n", {}, "raw: line 2: 'timestamp'"),
        (
            "user_id:token\titem_id:token\ttimestamp:float\nu\tx\t-1\n",
            {},
            "timestamp: expected seconds since 1970, got -1",
        ),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_no_output(tmp_path, capfd, log, changes, message):
    raw = None
    if log is not None:
        raw = tmp_path / "raw"
        raw.write_text(log)
    refused(capfd, message, arguments(tmp_path / "out", raw, **changes), tmp_path / "out")


def refused(capfd, message, options, folder):
    """One line on standard error with the message, exit code 2, and nothing in the folder."""
    assert main(options) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(folder.glob("*"))


def naive_five_core(rows):
    """Counts after the 5-core, by plain loops over tuples."""
    while True:
        users, items = {}, {}
        for user, item in rows:
            users[user] = users.get(user, 0) + 1
            items[item] = items.get(item, 0) + 1
        kept = [(u, i) for u, i in rows if users[u] >= 5 and items[i] >= 5]
        if len(kept) == len(rows):
            return len(users), len(items), len(rows)
        rows = kept


RAW = {
    "toy": (ROOT / "data/toy/toy.inter", ROOT / "data/toy/toy.item"),
    "ml-100k": tuple(ROOT / "resources/datasets/ml-100k" / role for role in ROLES),
}


@pytest.mark.parametrize("name", RAW)
def test_the_five_core_has_the_counts_that_plain_loops_find(tmp_path, name):
    log, catalog = RAW[name]
    if not (log.is_file() and catalog.is_file()):
        pytest.skip(f"{name} was not fetched here ({log.parent}); `make demo` does it")
    changes = {"min_user_events": 5, "min_item_events": 5, "expected": None}
    assert main(arguments(tmp_path, log, catalog, **changes)) == 0
    specs = {"users": USERS, "items": ITEMS, "interactions": INTERACTIONS}
    counts = [len(read_table(tmp_path / f"{name}.parquet", spec)) for name, spec in specs.items()]
    rows = [tuple(line.split("\t")[:2]) for line in log.read_text().splitlines()[1:]]
    assert naive_five_core(rows) == tuple(counts)
