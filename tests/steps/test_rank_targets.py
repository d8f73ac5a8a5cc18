import numpy as np
import pytest

from ace_steps.io import tables
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.steps import rank_targets, train_backbone
from tests.steps.made_training import rank_options, train_options, write_inputs
from tests.training.made import random_histories, settings_json


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_inputs(folder)
    assert train_backbone.main(train_options(folder)) == 0
    return folder


def rank(folder, settings=None, **identity):
    return rank_targets.main(rank_options(folder, settings, **identity))


def test_every_held_out_item_has_a_rank_and_validation_ones_those_training_stopped_by(trained):
    assert rank(trained) == 0
    table = read_table(trained / "ranks.parquet", tables.RANKS)
    histories = random_histories()
    for split, flags in (("valid", histories.has_valid), ("test", histories.has_test)):
        rows = table.filter(split=split)
        assert rows["user"].to_list() == np.flatnonzero(flags).tolist()
        assert rows["rank"].is_between(1, 30).all()
    assert table.select(tables.RUN).unique().row(0) == ("toy", "e", "ace", "b", 1)
    curve = read_table(trained / "training_curve.parquet", tables.TRAINING_CURVE)
    best = curve.filter("is_best").row(0, named=True)
    ranks = table.filter(split="valid")["rank"].to_numpy()
    gains = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0)
    assert gains.mean() == pytest.approx(best["valid_ndcg_10"], abs=1e-12)


def test_two_rankings_are_the_same_bytes_and_say_what_they_were_made_of(trained):
    assert rank(trained) == 0
    once = (trained / "ranks.parquet").read_bytes()
    assert rank(trained) == 0
    assert (trained / "ranks.parquet").read_bytes() == once
    note = read_provenance(trained / "ranks.parquet")
    assert note.inputs.keys() == {"interactions", "items", "vectors", "weights"}
    assert note.settings["ranking"] == {"tie_policy": "expected", "mask_seen": False}


OTHER_SETTINGS = settings_json(epochs=3).replace('"inner_dim": 16', '"inner_dim": 32')
REFUSED = {
    "settings": ({}, {"settings": OTHER_SETTINGS}, "settings 'inner_dim': expected 32, got 16"),
    "seed": ({}, {"seed": "2"}, "facts 'seed': expected 2, got 1"),
    "vectors": ({"dim": 5}, {}, "inputs 'vectors': expected"),
}


@pytest.mark.parametrize(("changes", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_weights_of_another_run_are_refused(tmp_path, trained, capsys, changes, options, message):
    write_inputs(tmp_path, **changes)
    (tmp_path / "best.safetensors").write_bytes((trained / "best.safetensors").read_bytes())
    assert rank(tmp_path, **options) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"weights of another run: {message}" in line
    assert not (tmp_path / "ranks.parquet").exists()
