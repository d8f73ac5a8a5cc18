"""The cases that benchmarks/refine.py runs, each in a process of its own; prints JSON."""

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np
from memory import begin_peak, resident_mb

K = 128
LAMBDAS = np.geomspace(0.01, 5000, 20)
ENOUGH_S = 4.0  # short cases are repeated for this long; the fastest run counts
SOLVERS = {  # name: (rows are centred, package)
    "numpy.linalg.svd": (False, "numpy"),
    "torch.svd_lowrank": (False, "torch"),
    "ours": (False, "ace_steps"),
    "sklearn PCA full": (True, "sklearn"),
    "sklearn PCA covariance_eigh": (True, "sklearn"),
    "sklearn PCA randomized": (True, "sklearn"),
    "ours, centred": (True, "ace_steps"),
}


def solver(name: str, data: str) -> dict:
    is_centred, package = SOLVERS[name]
    try:
        solve = _solver(name)
    except ImportError:
        return {"missing": package}
    rows = np.load(data)
    solve(rows[:300, :200].copy(), 20)  # libraries loaded, threads started
    (values, directions, _), measured = _timed(lambda: solve(rows, K))
    exact = np.load(f"{data}.{is_centred}.npz")
    basis = np.linalg.qr(np.asarray(directions, np.float64))[0]
    outside = exact["v"] - basis @ (basis.T @ exact["v"])
    errors = np.abs(np.asarray(values, np.float64) / exact["s"] - 1)
    return measured | {"subspace": np.linalg.norm(outside, 2), "values": errors.max()}


def _solver(name: str):
    """A function of rows and k: singular values, directions as columns, and the refined rows."""
    if name.startswith("ours"):
        from ace_steps.refine import fit

        def ours(rows, k):
            found = fit(rows, k, lambda_=50.0, gamma=0.1, center="centred" in name)
            return found.spectrum, found.weights, found.transform(rows)

        return ours
    if name.startswith("sklearn"):
        from sklearn.decomposition import PCA

        def pca(rows, k):
            found = PCA(k, svd_solver=name.split()[-1], random_state=0)
            scores = found.fit_transform(rows)
            return found.singular_values_, found.components_.T, scores

        return pca
    if name == "torch.svd_lowrank":
        import torch

        def lowrank(rows, k):
            torch.manual_seed(0)
            u, s, v = torch.svd_lowrank(torch.from_numpy(rows), q=k)
            return s.numpy(), v.numpy(), (u * s).numpy()

        return lowrank

    def svd(rows, k):
        u, s, vt = np.linalg.svd(rows, full_matrices=False)
        return s[:k], vt[:k].T, u[:, :k] * (s[:k] / np.sqrt(s[:k] ** 2 + 50))

    return svd


def sweep(data: str) -> dict:
    from ace_steps.refine import fit_grid

    rows = np.load(data)

    def sweep() -> float:
        grid = fit_grid(rows, K, lambdas=LAMBDAS, gamma=0.1, center=False)
        first = grid[0].transform(rows)
        return sum(float(point.convert(first, grid[0])[0, 0]) for point in grid)

    return _timed(sweep)[1]


def write(path: str, n_rows: str) -> dict:
    from ace_steps.io.provenance import Provenance
    from ace_steps.io.vectors import vector_writer

    generator, width, block = np.random.default_rng(0), 1024, 16_384
    slope = (np.arange(1, width + 1) ** -0.5).astype(np.float32)
    note = Provenance("benchmark")
    with vector_writer(Path(path), "item_vectors", width, np.float16, note) as writer:
        for start in range(0, int(n_rows), block):
            index = np.arange(start, min(start + block, int(n_rows)))
            rows = generator.standard_normal((len(index), width), dtype=np.float32) * slope
            rows[:, 0] += 5.0
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            writer.write({"item": index + 1, "item_id": index.astype(str)}, rows)
    return {}


def stream(path: str) -> dict:
    """One pass over the Parquet file and the solve, through the library."""
    from ace_steps.io.vectors import iter_vectors
    from ace_steps.refine import fit

    def once():
        return fit((piece.matrix for piece in iter_vectors(Path(path))), K)

    found, measured = _timed(once, enough_s=0)
    found.save(f"{path}.map")
    return measured


def project(path: str) -> dict:
    """A second pass that writes every refined vector."""
    from ace_steps.steps import fold_in_items

    options = ["--vectors", path, "--map", f"{path}.map", "--refined", f"{path}.refined"]
    measured = _timed(lambda: fold_in_items.main(options), enough_s=0)[1]
    Path(f"{path}.refined").unlink()
    return measured


def step(name: str, *options: str) -> dict:
    module = importlib.import_module(f"ace_steps.steps.{name}")
    code, measured = _timed(lambda: module.main(list(options)), enough_s=0)
    if code:
        raise SystemExit(code)
    return measured


def _timed(work, *, enough_s=ENOUGH_S) -> tuple[object, dict]:
    """What ``work`` returns, its seconds, and the memory it added at its peak (Linux)."""
    before, times = resident_mb("VmRSS"), []
    begin_peak()
    while not times or sum(wall for wall, _ in times) < enough_s:
        start = time.perf_counter(), time.process_time()
        result = work()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    peak = resident_mb("VmHWM")
    seconds, cpu_s = (min(column) for column in zip(*times, strict=True))
    memory = {"extra_mb": peak - before, "peak_mb": peak}
    return result, {"seconds": seconds, "cpu_s": cpu_s, **memory}


if __name__ == "__main__":
    case = {f.__name__: f for f in (solver, sweep, write, stream, project, step)}[sys.argv[1]]
    print(json.dumps(case(*sys.argv[2:])))
