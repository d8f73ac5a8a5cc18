import platform
import subprocess
import sys

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


HOLES = """
import sys
from ace_steps.runtime import keep_large_blocks_apart

def resident_mb():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

if sys.argv[1] == "apart":
    keep_large_blocks_apart()
bytearray(16 * 2**20)  # from its end on, glibc would put such blocks among the small ones
before, small, large = resident_mb(), [], []
for _ in range(100):
    large.append(b"1" * 2**21)
    small.append(bytearray(50_000))
held = resident_mb()
large.clear()
print(held - before, resident_mb() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's memory")
def test_large_blocks_that_are_freed_leave_no_holes_in_the_process():
    found = {
        way: [
            float(word)
            for word in subprocess.check_output([sys.executable, "-c", HOLES, way]).split()
        ]
        for way in ("apart", "as usual")
    }
    (held, left), (held_as_usual, left_as_usual) = found["apart"], found["as usual"]
    assert min(held, held_as_usual) > 150
    assert left < 20
    assert left_as_usual > 150
