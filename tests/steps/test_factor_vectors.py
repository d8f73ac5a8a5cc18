"""Factoring in one go and from shards' sums, as independent jobs leave them."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ace_steps.io.tensors import read_tensors
from ace_steps.refine import files
from ace_steps.refine import gram as gram_module
from tests.refine.builders import (
    COLUMNS,
    VECTORS,
    factor,
    gram,
    item_vectors,
    refused,
    write_foreign,
    write_vectors,
)


@pytest.fixture
def folder(tmp_path):
    """A folder with item vectors."""
    write_vectors(tmp_path / "vectors.parquet", VECTORS)
    return tmp_path


@pytest.mark.parametrize("n_shards", [1, 3, 11])
def test_no_byte_of_the_factor_depends_on_the_number_of_shards(folder, n_shards):
    paths = [gram(folder, f"{i + 1}-of-{n_shards}")[1] for i in range(n_shards)]
    assert factor(folder) == 0
    assert factor(folder, "--grams", *paths[::-1], name="joined.safetensors") == 0
    names = ("factor.safetensors", "joined.safetensors")
    assert len({(folder / name).read_bytes() for name in names}) == 1


def test_shards_of_variable_lists_may_be_empty_too(tmp_path):
    write_foreign(tmp_path / "vectors.parquet", VECTORS[:2])
    paths = [gram(tmp_path, f"{i}-of-5", *COLUMNS)[1] for i in range(1, 6)]
    assert factor(tmp_path, *COLUMNS, "--grams", *paths) == 0


def test_a_gpu_sums_every_leaf_and_solves_both_factors(folder, monkeypatch):
    """Every branch that a GPU takes, with torch on the CPU."""
    assert factor(folder, name="numpy.safetensors") == 0
    devices = []

    def on_the_cpu(function):
        return lambda *arguments: devices.append(arguments[-1]) or function(*arguments[:-1], "cpu")

    for name in ("TorchMomentSum", "torch_eigenpairs"):
        monkeypatch.setattr(gram_module, name, on_the_cpu(getattr(gram_module, name)))
    monkeypatch.setattr(files, "select_gram_device", lambda device: "cuda")
    assert factor(folder) == 0
    assert devices == ["cuda"] * 10  # eight leaves, two factors
    arrays, note = read_tensors(folder / "factor.safetensors")
    for name, expected in read_tensors(folder / "numpy.safetensors")[0].items():
        np.testing.assert_allclose(arrays[name], expected, atol=1e-6, err_msg=name)
    assert note.facts["device"] == "cuda"


@pytest.mark.parametrize("drivers", [(), ("/dev/null",)])
def test_auto_takes_the_cpu_where_torch_sees_no_gpu(folder, monkeypatch, drivers):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(gram_module, "GPU_DRIVERS", drivers)
    assert factor(folder, "--device", "auto") == 0
    assert read_tensors(folder / "factor.safetensors")[1].facts["device"] == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_refused(folder, capfd):
    refused(capfd, factor(folder, "--device", "cuda"), "'cuda'.*GPU.*take cpu")


def test_on_a_cpu_the_step_does_without_torch(folder):
    code = (
        "import sys; from ace_steps.steps import factor_vectors; "
        "code = factor_vectors.main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    )
    options = ["--vectors", folder / "vectors.parquet", "--device", "cpu"]
    command = [sys.executable, "-c", code, *options, "--factor", folder / "f.safetensors"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_a_set_of_shards_that_is_not_whole_is_refused(folder, capfd):
    paths = [gram(folder, shard)[1] for shard in ("1-of-3", "3-of-3")]
    capfd.readouterr()
    refused(capfd, factor(folder, "--grams", *paths), "2-of-3 is missing")
    assert not (folder / "factor.safetensors").exists()


def test_a_file_of_other_vectors_or_of_another_kind_is_refused(folder, capfd):
    _, path = gram(folder, "1-of-1")
    assert factor(folder) == 0
    capfd.readouterr()
    code = factor(folder, "--grams", folder / "factor.safetensors", name="again.safetensors")
    refused(capfd, code, "tensor 'gram' is missing")
    write_vectors(folder / "vectors.parquet", -VECTORS)
    refused(capfd, factor(folder, "--grams", path), r"1-of-1\.safetensors: .*other vectors")


@pytest.mark.parametrize(
    ("vectors", "ids", "message"),
    [
        (VECTORS * (np.arange(90) != 5)[:, None], None, r"'i5' \(row 5\) has an all-zero vector"),
        (VECTORS[:0], None, "the table is empty"),
        (VECTORS[:3], ["a", "b", "a"], "'item_id' holds 'a' more than once; 1 such"),
    ],
)
def test_vectors_that_cannot_be_factored_are_refused(tmp_path, capfd, vectors, ids, message):
    write_vectors(tmp_path / "vectors.parquet", vectors, ids=ids)
    refused(capfd, factor(tmp_path), message)
    assert not (tmp_path / "factor.safetensors").exists()


def test_a_file_of_another_program_that_cannot_be_used_is_refused(tmp_path, capfd):
    path = tmp_path / "vectors.parquet"
    write_foreign(path, [*VECTORS[:9], VECTORS[9][:4]])
    refused(capfd, factor(tmp_path, *COLUMNS), "row 9.*12 entries, got 4")
    refused(capfd, factor(tmp_path), "'item_id' is missing.*sku, embedding")
    column = pa.array(VECTORS.tolist(), pa.list_(pa.float64()))
    ids = pa.array([f"p{row}" if row != 31 else None for row in range(90)])
    pq.write_table(pa.table({"sku": ids, "embedding": column}), path)
    refused(capfd, factor(tmp_path, *COLUMNS), "'sku' is null in row 31")


def test_a_low_rank_is_logged(tmp_path, capfd):
    write_vectors(tmp_path / "vectors.parquet", item_vectors(90, 12, rank=5))
    assert factor(tmp_path) == 0
    assert "rank deficient: 7 of 12" in capfd.readouterr().err
