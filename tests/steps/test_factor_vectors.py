"""Factoring from shards' sums, as independent jobs leave them."""

import numpy as np
import pytest
import torch

from ace_steps.io.tensors import read_tensors
from ace_steps.refine import factor_files
from ace_steps.refine import gram as gram_module
from tests.refine.builders import (
    COLUMNS,
    VECTORS,
    factor,
    gram,
    refused,
    write_foreign,
    write_vectors,
)


@pytest.fixture
def folder(tmp_path):
    """A folder with item vectors."""
    write_vectors(tmp_path / "vectors.parquet", VECTORS)
    return tmp_path


@pytest.mark.parametrize("n_shards", [1, 2, 3, 8, 100])
def test_no_byte_of_the_factor_depends_on_the_number_of_shards(folder, n_shards):
    paths = [gram(folder, f"{i + 1}-of-{n_shards}")[1] for i in range(n_shards)]
    assert factor(folder) == 0
    assert factor(folder, "--grams", *paths[::-1], name="joined.safetensors") == 0
    files = [folder / f"{name}.safetensors" for name in ("factor", "joined")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(("n_shards", "n_kept"), [(1, [1]), (3, [1, 3, 2]), (9, [1] * 8 + [0])])
def test_the_first_shard_keeps_one_sum_and_the_others_their_leaves(folder, n_shards, n_kept):
    paths = [gram(folder, f"{i + 1}-of-{n_shards}")[1] for i in range(n_shards)]
    assert [len(read_tensors(path)[0]["gram"]) for path in paths] == n_kept


def test_shards_of_variable_lists_may_be_empty_too(tmp_path):
    write_foreign(tmp_path / "vectors.parquet", VECTORS[:2])
    paths = [gram(tmp_path, f"{i}-of-5", *COLUMNS)[1] for i in range(1, 6)]
    assert factor(tmp_path, *COLUMNS, "--grams", *paths) == 0


def test_the_torch_path_gives_the_same_factor(folder, monkeypatch):
    """Every branch that a GPU takes, with torch on the CPU."""
    assert factor(folder, name="numpy.safetensors") == 0
    devices = []

    def on_the_cpu(function):
        return lambda *arguments: devices.append(arguments[-1]) or function(*arguments[:-1], "cpu")

    for name in ("TorchMomentSum", "torch_eigenpairs"):
        monkeypatch.setattr(gram_module, name, on_the_cpu(getattr(gram_module, name)))
    monkeypatch.setattr(factor_files, "select_gram_device", lambda device: "cuda")
    assert factor(folder) == 0
    assert devices == ["cuda"] * 10  # eight leaves, two factors
    arrays, note = read_tensors(folder / "factor.safetensors")
    for name, expected in read_tensors(folder / "numpy.safetensors")[0].items():
        np.testing.assert_allclose(arrays[name], expected, atol=1e-6, err_msg=name)
    assert note.facts["device"] == "cuda"


@pytest.mark.parametrize(
    ("shards", "message"),
    [(["1-of-3", "3-of-3"], "2-of-3 is missing"), (["1-of-2", "1-of-2"], "more than once")],
)
def test_a_set_of_shards_that_is_not_whole_is_refused(folder, capfd, shards, message):
    paths = [gram(folder, shard)[1] for shard in shards]
    capfd.readouterr()
    refused(capfd, factor(folder, "--grams", *paths), message)
    assert not (folder / "factor.safetensors").exists()


def test_a_file_of_other_vectors_or_of_another_kind_is_refused(folder, capfd):
    _, path = gram(folder, "1-of-1")
    assert factor(folder) == 0
    capfd.readouterr()
    code = factor(folder, "--grams", folder / "factor.safetensors", name="again.safetensors")
    refused(capfd, code, "tensor 'gram' is missing")
    write_vectors(folder / "vectors.parquet", -VECTORS)
    refused(capfd, factor(folder, "--grams", path), r"1-of-1\.safetensors: .*other vectors")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_refused(folder, capfd):
    refused(capfd, factor(folder, "--device", "cuda"), "'cuda'.*no GPU")


@pytest.mark.parametrize("has_driver", [True, False])
def test_auto_takes_the_cpu_where_torch_sees_no_gpu(folder, monkeypatch, has_driver):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("ace_steps.refine.gram._has_gpu_driver", lambda: has_driver)
    assert factor(folder, "--device", "auto") == 0
    assert read_tensors(folder / "factor.safetensors")[1].facts["device"] == "cpu"
