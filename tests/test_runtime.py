"""Precisions, memory, and GPUs spread over processes, with names in place of GPUs."""

import os
import platform
import re
import subprocess
import sys
import threading

import pytest
import torch

from ace_steps import runtime
from ace_steps.errors import InputError
from ace_steps.runtime import computing_precision, lease_gpu
from tests.conftest import ROOT

GPUS = ["GPU-a", "GPU-b", "GPU-c"]


@pytest.mark.parametrize("is_native", [True, False])
def test_bfloat16_is_computed_in_where_the_device_has_it(is_native, monkeypatch):
    monkeypatch.setattr(runtime, "_multiplies_bfloat16", lambda device: is_native)
    expected = "bfloat16" if is_native else "float32"
    assert computing_precision("bfloat16", torch.device("cpu")) == expected
    assert computing_precision("float32", torch.device("cpu")) == "float32"


def test_a_processor_is_asked_for_its_own_instructions():
    has = torch.cpu.get_capabilities()
    if has["architecture"] != "x86_64":
        pytest.skip("torch names other processors' instructions differently")
    precision = computing_precision("bfloat16", torch.device("cpu"))
    if has["avx512_bf16"] or has["amx_bf16"]:
        assert precision == "bfloat16"
    if not has["avx512_bw"]:
        assert precision == "float32"


HOLES = """
def resident_mb():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

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
def test_large_blocks_that_a_training_frees_leave_no_holes_in_the_process():
    rules = (ROOT / "workflow/rules/train.smk").read_text()
    name, value = re.search(
        r'"(MALLOC_\w+)=(\d+) "\s*"python -m [\w.]+train_backbone"', rules
    ).groups()

    command = [sys.executable, "-c", HOLES]
    printed = subprocess.check_output(command, env=os.environ | {name: value}, text=True)
    held, left = map(float, printed.split())
    assert held > 150
    assert left < 20  # without the variable 150


def test_each_process_takes_another_gpu_known_by_its_name_wherever_it_stands(tmp_path):
    index, held = lease_gpu(GPUS[1:], tmp_path)
    assert index == 0
    assert lease_gpu(GPUS[1:][::-1], tmp_path)[0] == 0  # GPU-c: GPU-b is held
    held.close()


def test_one_that_comes_too_late_waits_until_a_gpu_is_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "PAUSE_S", 0.01)
    held = [lease_gpu(GPUS, tmp_path)[1] for _ in GPUS]
    taken = []
    late = threading.Thread(target=lambda: taken.append(lease_gpu(GPUS, tmp_path)[0]))
    late.start()
    late.join(0.2)
    assert late.is_alive()
    held[1].close()
    late.join(10)
    assert taken == [1]


def test_gpus_that_are_shared_fill_up_evenly(tmp_path):
    held = [lease_gpu(GPUS[:2], tmp_path, n_jobs=2) for _ in range(4)]
    assert [index for index, _ in held] == [0, 1, 0, 1]
    held[1][1].close()
    assert lease_gpu(GPUS[:2], tmp_path, n_jobs=2)[0] == 1


HOLDER = """
import sys, time
from pathlib import Path
from ace_steps.runtime import lease_gpu
held = lease_gpu(sys.argv[2:], Path(sys.argv[1]))
print(held[0], flush=True)
time.sleep(60)
"""


def test_a_killed_process_gives_its_gpu_back(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path), *GPUS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline().strip() == "0"
        second = lease_gpu(GPUS, tmp_path)
        assert second[0] == 1
        holder.kill()
        holder.wait()
    assert lease_gpu(GPUS, tmp_path)[0] == 0


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """A torch that sees two GPUs, of which another process has the first."""

    class Gpu:
        def __init__(self, index):
            self.uuid = GPUS[index]

    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", Gpu)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(runtime, "lock_folder", lambda: tmp_path)
    monkeypatch.setattr(runtime, "_leased_gpu", runtime._leased_gpu.__wrapped__)
    has_cudnn_sdp = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    with lease_gpu(GPUS, tmp_path)[1]:
        yield chosen
    torch.backends.cuda.enable_cudnn_sdp(has_cudnn_sdp)


def test_a_step_computes_on_a_gpu_that_is_free_without_cudnns_attention(two_gpus, tmp_path):
    assert runtime.select_device("cpu") == torch.device("cpu")
    assert two_gpus == []
    for name in ("cuda", "auto"):
        assert runtime.select_device(name) == torch.device("cuda", 1)
    assert two_gpus == [1, 1]
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_the_environment_says_how_many_jobs_share_a_gpu(two_gpus, monkeypatch):
    monkeypatch.setenv(runtime.JOBS_PER_GPU, "2")
    leased = [runtime._leased_gpu() for _ in range(3)]
    assert [index for index, _ in leased] == [1, 0, 1]  # another process has the first's first


@pytest.mark.parametrize("number", ["0", "two", ""])
def test_a_number_of_jobs_that_is_none_is_refused(two_gpus, number, monkeypatch):
    monkeypatch.setenv(runtime.JOBS_PER_GPU, number)
    with pytest.raises(InputError, match=f"ACE_JOBS_PER_GPU: .* got '{number}'"):
        runtime.select_device("cuda")
