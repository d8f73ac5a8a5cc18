"""The step estimate_requests writes what tests/embed/test_api.py counts by hand."""

import json

from ace_steps.steps.estimate_requests import main
from tests.steps.made_items import write_items
from tests.steps.made_requests import CONNECTION, SETTINGS


def test_the_numbers_are_written_and_no_key_is_needed(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("ACE_TEST_KEY", raising=False)
    items = write_items(tmp_path / "items.parquet", ["nine char", "x" * 400, "y" * 800])
    api = {**CONNECTION, "base_url": "https://api.example.org/v1"}
    options = {"items": items, "settings": json.dumps({**SETTINGS, "api": api})}
    options |= {"store": tmp_path / "store", "estimate": tmp_path / "estimate.json"}
    argv = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    assert main(argv) == 0
    assert "nothing sent: 3 texts" in capsys.readouterr().err
    assert json.loads((tmp_path / "estimate.json").read_text()) == {
        **{"n_texts": 3, "n_known": 0, "n_truncated": 1, "n_requests": 1, "n_tokens": 203},
        **{"counted_by": "4 characters a token", "cost_usd": 203 * 0.5 / 1e6},
    }
