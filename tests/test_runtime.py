import pytest
import torch

from ace_steps import runtime
from ace_steps.runtime import computing_precision


@pytest.mark.parametrize(
    ("wanted", "is_native", "found"),
    [
        ("bfloat16", True, "bfloat16"),
        ("bfloat16", False, "float32"),
        ("float32", True, "float32"),
        ("float32", False, "float32"),
    ],
)
def test_bfloat16_is_computed_in_where_the_device_has_it(wanted, is_native, found, monkeypatch):
    monkeypatch.setattr(runtime, "_multiplies_bfloat16", lambda device: is_native)
    assert computing_precision(wanted, torch.device("cpu")) == found


def test_a_processor_is_asked_for_its_own_instructions():
    has = torch.cpu.get_capabilities()
    if has["architecture"] != "x86_64":
        pytest.skip("torch names other processors' instructions differently")
    found = computing_precision("bfloat16", torch.device("cpu"))
    if has["avx512_bf16"] or has["amx_bf16"]:
        assert found == "bfloat16"
    if not has["avx512_bw"]:
        assert found == "float32"
