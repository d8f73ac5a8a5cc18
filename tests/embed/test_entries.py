"""Where the configuration's entries say that a model is, before anything is run."""

import pytest

from ace_steps.embed.entries import model_folder
from ace_steps.errors import InputError
from tests.conftest import ROOT

REGISTRY = ROOT / "data/encoders.yaml"
FETCHED = {
    "source": {"source": "smollm2-135m"},
    "hub": {"hub": {"repo": "own/model", "revision": "0" * 40}},
}


@pytest.mark.parametrize("origin", FETCHED)
def test_code_is_trusted_only_in_a_folder_of_the_callers(origin, tmp_path):
    fetched = FETCHED[origin]
    assert model_folder({**fetched, "trust_remote_code": False}, REGISTRY)
    with pytest.raises(InputError, match="only for a model's folder, `path`"):
        model_folder({**fetched, "trust_remote_code": True}, REGISTRY)
    own = {"path": str(tmp_path), "trust_remote_code": True}
    assert model_folder(own, REGISTRY) == str(tmp_path)
