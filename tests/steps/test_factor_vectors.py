"""Factoring from shards' sums, as independent jobs leave them."""

import numpy as np
import pytest

from ace_steps.io.tensors import read_tensors
from ace_steps.steps import factor_vectors, gram_vectors
from tests.refine.made import COLUMNS, made_vectors, refused, write_foreign, write_vectors

VECTORS = made_vectors(90, 12)


def gram(folder, shard, *extra):
    options = ["--vectors", str(folder / "vectors.parquet"), "--shard", shard, "--device", "cpu"]
    out = folder / f"{shard}.safetensors"
    return gram_vectors.main([*options, "--gram", str(out), *extra]), out


def factor(folder, *extra, name="factor.safetensors"):
    options = ["--vectors", str(folder / "vectors.parquet"), "--device", "cpu"]
    code = factor_vectors.main([*options, "--factor", str(folder / name), *map(str, extra)])
    return code, folder / name


@pytest.fixture
def folder(tmp_path):
    """A folder with item vectors."""
    write_vectors(tmp_path / "vectors.parquet", VECTORS)
    return tmp_path


@pytest.mark.parametrize("n_shards", [1, 2, 3, 8, 100])
def test_no_byte_of_the_factor_depends_on_the_number_of_shards(folder, n_shards):
    paths = [gram(folder, f"{i + 1}-of-{n_shards}")[1] for i in range(n_shards)]
    code, joined = factor(folder, "--grams", *paths[::-1], name="joined.safetensors")
    assert code == 0
    assert joined.read_bytes() == factor(folder)[1].read_bytes()


@pytest.mark.parametrize(("n_shards", "n_kept"), [(1, [1]), (3, [1, 3, 2]), (9, [1] * 8 + [0])])
def test_the_first_shard_keeps_one_sum_and_the_others_their_leaves(folder, n_shards, n_kept):
    paths = [gram(folder, f"{i + 1}-of-{n_shards}")[1] for i in range(n_shards)]
    assert [len(read_tensors(path)[0]["gram"]) for path in paths] == n_kept


def test_shards_of_variable_lists_may_be_empty_too(tmp_path):
    write_foreign(tmp_path / "vectors.parquet", VECTORS[:2])
    paths = [gram(tmp_path, f"{i}-of-5", *COLUMNS)[1] for i in range(1, 6)]
    assert factor(tmp_path, *COLUMNS, "--grams", *paths)[0] == 0


def test_the_torch_path_gives_the_same_factor(folder, monkeypatch):
    import torch

    from ace_steps.refine import algebra, factoring
    from ace_steps.refine.torch_algebra import TorchMomentSum, TorchSolver

    wanted = factor(folder, name="numpy.safetensors")[1]
    cpu = torch.device("cpu")
    used = algebra.Algebra(lambda: TorchMomentSum(12, cpu), TorchSolver(cpu), "cpu")
    monkeypatch.setattr(factoring, "algebra", lambda device, width: used)
    (found, _), (expected, _) = (read_tensors(p) for p in (factor(folder)[1], wanted))
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-6, err_msg=name)


def test_a_shard_missing_from_the_sum_is_refused(folder, capfd):
    paths = [gram(folder, f"{i}-of-3")[1] for i in (1, 3)]
    capfd.readouterr()
    code, out = factor(folder, "--grams", *paths)
    refused(capfd, code, "shard 2-of-3 is missing")
    assert not out.exists()


def test_a_shard_given_twice_is_refused(folder, capfd):
    _, path = gram(folder, "1-of-2")
    capfd.readouterr()
    code, _ = factor(folder, "--grams", path, path)
    refused(capfd, code, "shard 1-of-2 is given more than once")


def test_a_shard_of_other_vectors_is_refused(folder, capfd):
    _, path = gram(folder, "1-of-1")
    write_vectors(folder / "vectors.parquet", VECTORS * [[-1.0]])
    capfd.readouterr()
    code, _ = factor(folder, "--grams", path)
    refused(capfd, code, r"1-of-1\.safetensors: summed from other vectors than .*; sum them again")


def test_a_file_that_is_no_sum_is_refused(folder, capfd):
    _, other = factor(folder)
    capfd.readouterr()
    code, _ = factor(folder, "--grams", other, name="again.safetensors")
    refused(capfd, code, "tensor 'gram' is missing")


def test_a_device_that_is_not_there_is_refused(folder, capfd):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    options = ["--vectors", str(folder / "vectors.parquet"), "--device", "cuda"]
    code = factor_vectors.main([*options, "--factor", str(folder / "factor.safetensors")])
    refused(capfd, code, "device 'cuda' was asked for, but torch sees no GPU")


@pytest.mark.parametrize("has_driver", [True, False])
def test_auto_takes_the_cpu_where_torch_sees_no_gpu(folder, monkeypatch, has_driver):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("ace_steps.refine.algebra._has_gpu_driver", lambda: has_driver)
    options = ["--vectors", str(folder / "vectors.parquet"), "--device", "auto"]
    assert factor_vectors.main([*options, "--factor", str(folder / "auto.safetensors")]) == 0
    assert read_tensors(folder / "auto.safetensors")[1].facts["device"] == "cpu"
