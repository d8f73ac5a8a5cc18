"""The step preprocess_dataset, through its command line."""

import json

import polars as pl
import pytest

from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import DATA_REPORT, INTERACTIONS, ITEMS, USERS
from ace_steps.preprocess.read_recbole import RecboleSettings
from ace_steps.steps.preprocess_dataset import main
from tests.conftest import ROOT
from tests.preprocess.conftest import TOY

OUTPUTS = {"interactions": INTERACTIONS, "users": USERS, "items": ITEMS, "data-report": DATA_REPORT}


def arguments(folder, log=ROOT / "data/toy/toy.inter", **changes):
    options = ["--raw-interactions", str(log), "--raw-items", str(ROOT / "data/toy/toy.item")]
    options += ["--dataset", "toy", "--settings", json.dumps(TOY | changes)]
    for name in OUTPUTS:
        options += [f"--{name}", str(folder / f"{name}.parquet")]
    return options


def test_the_toy_becomes_four_tables_the_same_bytes_each_time(tmp_path, capfd):
    wrong_counts = {"users": 41, "items": 24, "events": 241}
    assert main(arguments(tmp_path, expected=wrong_counts)) == 0
    assert "toy: expected 41 users, got 40" in capfd.readouterr().err
    tables = {
        name: read_table(tmp_path / f"{name}.parquet", spec) for name, spec in OUTPUTS.items()
    }
    assert [len(tables[name]) for name in ("interactions", "users", "items")] == [241, 40, 24]
    text = (
        "The toy item has the following attributes: \n title: red lamp; category: lamp; price: 5;"
    )
    assert tables["items"].row(0)[:3] == (1, "i00", text)
    walk = tables["interactions"].filter(pl.col("user") == 3)["item"].to_list()
    assert walk == list(range(16, 23))  # u03 starts at item i15, which is number 16
    note = read_provenance(tmp_path / "items.parquet")
    assert note.step == "preprocess_dataset"
    assert note.inputs.keys() == {"raw_interactions", "raw_items"}
    settings = RecboleSettings.model_validate(TOY | {"expected": wrong_counts})
    assert note.settings == settings.as_json()  # defaults too
    first = {name: (tmp_path / f"{name}.parquet").read_bytes() for name in OUTPUTS}
    assert main(arguments(tmp_path, expected=wrong_counts)) == 0
    assert first == {name: (tmp_path / f"{name}.parquet").read_bytes() for name in OUTPUTS}


@pytest.mark.parametrize(
    ("log", "changes", "words"),
    [
        (None, {"min_user_event": 5}, ["--settings: min_user_event", "'min_user_events'"]),
        (None, {"min_item_events": 500}, ["no users and items are left of 244 events"]),
        ("user_id:token\titem_id:token\ttimestamp:float\nu\ti00\n", {}, ["raw: line 2: 'timesta"]),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_no_output(tmp_path, capfd, log, changes, words):
    raw = {}
    if log is not None:
        raw = {"log": tmp_path / "raw"}
        raw["log"].write_text(log)
    assert main(arguments(tmp_path / "out", **raw, **changes)) == 2
    error = capfd.readouterr().err
    assert [word for word in words if word not in error] == []
    assert error.count("\n") == 1
    assert not list((tmp_path / "out").glob("*"))
