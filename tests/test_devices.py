"""GPUs are spread over processes, one each: with names in place of GPUs."""

import subprocess
import sys
import threading

import pytest
import torch

from ace_steps import devices, runtime
from ace_steps.devices import lease
from ace_steps.errors import InputError
from tests.conftest import ROOT

GPUS = ["GPU-a", "GPU-b", "GPU-c"]


def test_each_process_takes_another_gpu(tmp_path):
    held = [lease(GPUS, tmp_path) for _ in GPUS]
    assert [place for place, _ in held] == [0, 1, 2]


def test_a_gpu_is_known_by_its_name_wherever_it_stands_in_the_list(tmp_path):
    place, held = lease(GPUS[1:], tmp_path)
    assert place == 0
    assert lease(GPUS[1:][::-1], tmp_path)[0] == 0  # GPU-c: GPU-b is held
    held.close()


def test_one_that_comes_too_late_waits_until_a_gpu_is_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "PAUSE_S", 0.01)
    held = [lease(GPUS, tmp_path)[1] for _ in GPUS]
    found = []
    late = threading.Thread(target=lambda: found.append(lease(GPUS, tmp_path)[0]))
    late.start()
    late.join(0.2)
    assert late.is_alive()
    held[1].close()
    late.join(10)
    assert found == [1]


def test_gpus_that_are_shared_fill_up_evenly(tmp_path):
    held = [lease(GPUS[:2], tmp_path, n_jobs=2) for _ in range(4)]
    assert [place for place, _ in held] == [0, 1, 0, 1]
    held[1][1].close()
    assert lease(GPUS[:2], tmp_path, n_jobs=2)[0] == 1


def test_the_environment_says_how_many_jobs_share_a_gpu(two_gpus, monkeypatch):
    monkeypatch.setenv(devices.JOBS_PER_GPU, "2")
    leased = [runtime._leased_gpu() for _ in range(3)]
    assert [place for place, _ in leased] == [1, 0, 1]  # another process has the first's first


@pytest.mark.parametrize("wanted", ["0", "-1", "two", ""])
def test_a_number_of_jobs_that_is_none_is_refused(wanted, monkeypatch):
    monkeypatch.setenv(devices.JOBS_PER_GPU, wanted)
    with pytest.raises(InputError, match=f"ACE_JOBS_PER_GPU is '{wanted}'"):
        devices.jobs_per_gpu()


HOLDER = """
import sys, time
from pathlib import Path
from ace_steps.devices import lease
held = lease(sys.argv[2:], Path(sys.argv[1]))
print(held[0], flush=True)
time.sleep(60)
"""


def test_a_killed_process_gives_its_gpu_back(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path), *GPUS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline().strip() == "0"
        second = lease(GPUS, tmp_path)
        assert second[0] == 1
        holder.kill()
        holder.wait()
    assert lease(GPUS, tmp_path)[0] == 0


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """A torch that sees two GPUs, of which another process has the first."""

    class Gpu:
        def __init__(self, place):
            self.uuid = GPUS[place]

    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", Gpu)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(runtime, "lock_folder", lambda: tmp_path)
    monkeypatch.setattr(runtime, "_leased_gpu", runtime._leased_gpu.__wrapped__)
    has_cudnn_sdp = torch.backends.cuda.cudnn_sdp_enabled()
    with lease(GPUS, tmp_path)[1]:
        yield chosen
    torch.backends.cuda.enable_cudnn_sdp(has_cudnn_sdp)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_a_step_computes_on_a_gpu_that_is_free(two_gpus, name):
    assert runtime.select_device(name) == torch.device("cuda", 1)
    assert two_gpus == [1]


def test_a_step_on_a_gpu_does_without_cudnns_attention(two_gpus):
    torch.backends.cuda.enable_cudnn_sdp(True)
    runtime.select_device("cuda")
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_a_step_on_the_cpu_holds_no_gpu(two_gpus, tmp_path):
    assert runtime.select_device("cpu") == torch.device("cpu")
    assert two_gpus == []
    assert lease(GPUS[1:2], tmp_path)[0] == 0
