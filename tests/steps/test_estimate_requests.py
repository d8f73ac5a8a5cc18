"""The step estimate_requests, through its command line; the numbers are those of a dry run."""

import json

from ace_steps.embed.settings import ApiEncoderSettings
from ace_steps.steps.estimate_requests import main
from tests.steps.made_items import write_items
from tests.steps.made_requests import CONNECTION, SETTINGS
from tests.toy import save_toy_encoder


def estimate(folder, capsys, **changes):
    api = {**CONNECTION, "base_url": "https://api.example.org/v1", **changes}
    settings = {**SETTINGS, "api": api}
    assert ApiEncoderSettings(**settings)
    code = main(
        [
            *("--items", str(folder / "items.parquet"), "--settings", json.dumps(settings)),
            *("--store", str(folder / "store"), "--estimate", str(folder / "estimate.json")),
        ]
    )
    return code, capsys.readouterr().err


def test_it_writes_what_hand_arithmetic_gives(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("ACE_TEST_KEY", raising=False)
    # one text is there twice; 9 and 400 characters are 3 and 100 tokens, 800 are cut to 100
    write_items(tmp_path / "items.parquet", ["nine char", "nine char", "x" * 400, "y" * 800])
    code, log = estimate(tmp_path, capsys, max_inputs=2)
    assert code == 0
    assert "nothing sent: 3 texts" in log
    assert json.loads((tmp_path / "estimate.json").read_text()) == {
        **{"n_texts": 3, "n_known": 0, "n_truncated": 1, "n_requests": 2, "n_tokens": 203},
        **{"counted_by": "4 characters a token", "cost_usd": 203 * 0.5 / 1e6},
    }


def test_a_tokenizer_counts_exactly(tmp_path, capsys):
    save_toy_encoder(tmp_path / "model")
    write_items(tmp_path / "items.parquet", ["nine char", "y" * 800])
    code, log = estimate(tmp_path, capsys, tokenizer=str(tmp_path / "model"))
    assert code == 0
    assert "109 tokens (tokenizer " in log  # the toy's tokens are bytes; 100 is the limit
