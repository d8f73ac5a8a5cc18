"""Runs of the refinement's steps in one folder, as tests need them."""

import json

from ace_steps.steps import factor_vectors, fold_in_items, refine_vectors
from tests.refine.made import SETTINGS, made_vectors

VECTORS = made_vectors(90, 12)
IDENTITY = ("--dataset", "toy", "--encoder", "tiny", "--refinement", "ace-lambda_2")
OUTPUTS = ("refined.parquet", "map.safetensors", "spectrum.parquet", "geometry.parquet")


def factor(folder, *extra):
    options = ["--vectors", str(folder / "vectors.parquet"), "--device", "cpu"]
    return factor_vectors.main([*options, "--factor", str(folder / "factor.safetensors"), *extra])


def refine(folder, settings, *extra):
    names = ("refined", "map", "spectrum", "geometry")
    files = [x for n, f in zip(names, OUTPUTS, strict=True) for x in (f"--{n}", str(folder / f))]
    inputs = [str(folder / "vectors.parquet"), "--factor", str(folder / "factor.safetensors")]
    text = settings if isinstance(settings, str) else json.dumps(settings)
    options = ["--vectors", *inputs, "--settings", text, *IDENTITY, *files]
    return refine_vectors.main([*options, *extra])


def settings_of(method, **change):
    return {"method": method, **SETTINGS[method], **change}


def fold_in(folder, vectors, *extra, map_name="map.safetensors"):
    options = ["--vectors", str(vectors), "--map", str(folder / map_name)]
    return fold_in_items.main([*options, "--refined", str(folder / "folded.parquet"), *extra])
