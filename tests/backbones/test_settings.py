"""Settings of backbones: defaults that work, and what is refused."""

import json

import pytest
import torch

from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.errors import InputError
from ace_steps.registry import BACKBONES
from tests.training.made import N_ITEMS, TABLE, answers, random_matrix, settings_json


@pytest.mark.parametrize("model", BACKBONES)
def test_every_model_predicts_with_nothing_given_but_its_name(model):
    settings = parse_backbone(json.dumps({"model": model}), "--settings")
    recommender = build_recommender(random_matrix(width=128), TABLE, settings, 0).eval()
    queries, items = answers(recommender, [[3, 1, 2]])
    assert (queries @ items.T).shape == (1, 3, N_ITEMS + 1)
    assert torch.isfinite(queries).all()


def changed(model="sasrec", **values):
    """Settings of a small backbone as JSON, keys changed or added."""
    return json.dumps(json.loads(settings_json(model)) | values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("{}", "model: missing.*sasrec, gru4rec, bert4rec"),
        (settings_json().replace("sasrec", "sasrek"), "model: .*'sasrek'.*'sasrec'"),
        (changed(num_heads=3), r"num_heads: .*8.*3; .*1, 2, 4, 8$"),
        (changed(num_heads=[2, 5]), "num_heads: .*8.*5"),
        (changed(iner_dim=16), "iner_dim: .*'inner_dim'"),
        (changed("gru4rec", num_heads=2), "num_heads: unknown key"),
        (changed("bert4rec", max_length=1), "max_length: .*2.*1"),
        (changed(dropout=1.0), "dropout: .*< 1.*1"),
        (changed(num_layers=[1, 2]), r"num_layers: .*\[1, 2\]"),
        (settings_json(learn_rate=0.1), r"training\.learn_rate: unknown key"),
        (settings_json(lr=0.0), r"training\.lr: .*> 0.*0"),
        (settings_json(lr=[0.1, 0.2]), r"training\.lr: .*\[0\.1, 0\.2\]"),
        (settings_json(metric="map"), r"training\.metric: .*recall, ndcg, mrr.*map"),
        (settings_json(cutoff=7), r"training\.cutoff: .*10, 20, 50.*7"),
        (settings_json(window_stride=7), r"training\.window_stride: .*6.*7"),
        (settings_json(window_stride=[3, 7]), r"training\.window_stride: .*6.*7"),
    ],
)
def test_settings_are_refused(text, message):
    with pytest.raises(InputError, match=f"--settings: {message}"):
        parse_backbone(text, "--settings")


@pytest.mark.parametrize(("max_length", "stride"), [(50, 25), (7, 3), (1, 1)])
def test_windows_end_half_of_max_length_apart_if_nothing_else_is_given(max_length, stride):
    settings = parse_backbone(changed(max_length=max_length), "--settings")
    assert settings.window_stride() == stride
    assert parse_backbone(settings_json(window_stride=1), "--settings").window_stride() == 1
