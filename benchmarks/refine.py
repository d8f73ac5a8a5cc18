r"""Time, memory and accuracy of the refinement beside the solvers one would take instead.

python benchmarks/refine.py                       # everything; 11 GB of disk, about 25 minutes
python benchmarks/refine.py solvers --width 576   # one part; see --help

Every measurement runs in a process of its own. Memory is the growth of its peak resident size over
what it held once the data and the libraries were loaded. Errors are against numpy's float64 SVD of
the same rows at length 1: the sine of the largest angle between the spaces of the 128 strongest
directions, and the largest relative error of their singular values. On a machine that others use
too, OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 and the column of CPU seconds are what to compare.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
from refine_cases import LAMBDAS, SOLVERS, K

N_ITEMS = 12_101
CASES = Path(__file__).with_name("refine_cases.py")


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("solvers", "sweep", "growth")
    options.add_argument("parts", nargs="*", choices=[*parts, []], help="what to run; all")
    options.add_argument("--width", type=int, nargs="*", default=[576, 3072], help="of the vectors")
    options.add_argument("--rows", type=int, nargs="*", default=[10**5, 10**6, 4 * 10**6])
    options.add_argument("--folder", type=Path, help="for temporary files, else the system's")
    given = options.parse_args()
    print(_versions())
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for part in given.parts or parts:
            PARTS[part](Path(folder), given)
    return 0


def compare_solvers(folder: Path, given: argparse.Namespace) -> None:
    for width in given.width:
        data = _write_data(folder, width)
        print(f"\n{N_ITEMS:,} x {width} float32, {K} components; ratios to numpy.linalg.svd")
        _line("solver", "seconds", "ratio", "CPU s", "ratio", "extra MB", "ratio", "subspace", "s")
        first = None
        for name in SOLVERS:
            found = _measure("solver", name, data)
            if "missing" in found:
                print(f"{name:<28} skipped: {found['missing']} is not installed")
                continue
            first = first or found
            _line(
                name,
                f"{found['seconds']:.2f}",
                f"{first['seconds'] / found['seconds']:.1f}x",
                f"{found['cpu_s']:.2f}",
                f"{first['cpu_s'] / found['cpu_s']:.1f}x",
                f"{found['extra_mb']:.0f}",
                f"{found['extra_mb'] / first['extra_mb']:.2f}",
                f"{found['subspace']:.1e}",
                f"{found['values']:.1e}",
            )


def compare_sweeps(folder: Path, given: argparse.Namespace) -> None:
    for width in given.width:
        data = _write_data(folder, width)
        ours, rival = _measure("sweep", data), _measure("solver", "numpy.linalg.svd", data)
        print(
            f"\n{len(LAMBDAS)} lambdas, {N_ITEMS:,} x {width}, every table made; one SVD measured"
        )
        for kind in ("seconds", "cpu_s"):
            svds = len(LAMBDAS) * rival[kind]
            cells = f"{ours[kind]:.2f}", f"{svds:.0f}", f"{svds / ours[kind]:.0f}x"
            _line(f"{kind}: ours, SVDs, ratio", *cells)


def compare_sizes(folder: Path, given: argparse.Namespace) -> None:
    print("\nGrowth: width 1024, float16 Parquet; pass: sum and solve, map: write refined vectors")
    part = ("s", "us/row", "CPU us/row", "peak MB")
    _line("rows", "GB", *(f"pass {x}" for x in part), *(f"map {x}" for x in part))
    for n_rows in given.rows:
        path = folder / "vectors.parquet"
        _measure("write", path, n_rows)
        size = path.stat().st_size / 1e9
        found = [_measure("stream", path), _measure("project", path)]
        cells = [
            text
            for part in found
            for text in (
                f"{part['seconds']:.1f}",
                f"{part['seconds'] / n_rows * 1e6:.2f}",
                f"{part['cpu_s'] / n_rows * 1e6:.2f}",
                f"{part['peak_mb']:.0f}",
            )
        ]
        _line(f"{n_rows:,}", f"{size:.2f}", *cells)
        if n_rows == max(given.rows):
            _steps(folder, path)
        path.unlink()


def _steps(folder: Path, path: Path) -> None:
    """The same through the steps' command lines, geometry and checksums included."""
    factor = folder / "factor.safetensors"
    settings = f'{{"method": "ace", "dim": {K}, "lambda": 50, "gamma": 0.1}}'
    outputs = [f"--{n}={folder / n}" for n in ("refined", "map", "spectrum", "geometry")]
    run = ["--dataset=made", "--encoder=made", "--refinement=ace", f"--settings={settings}"]
    calls = {
        "factor_vectors": [f"--vectors={path}", f"--factor={factor}", "--device=cpu"],
        "refine_vectors": [f"--vectors={path}", f"--factor={factor}", *run, *outputs],
    }
    for step, options in calls.items():
        found = _measure("step", step, *options)
        print(f"    {step}: {found['seconds']:.1f} s, peak {found['peak_mb']:.0f} MB")


def _measure(case: str, *arguments: object) -> dict:
    """What a case of refine_cases.py found, in a process of its own."""
    command = [sys.executable, CASES, case, *map(str, arguments)]
    paths = [str(CASES.parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def _write_data(folder: Path, width: int) -> Path:
    """Rows as a language model gives them: one shared direction, a power law for the others."""
    path = folder / f"made-{width}.npy"
    if not path.exists():
        generator = np.random.default_rng(0)
        basis = np.linalg.qr(generator.standard_normal((width, width)))[0]
        scores = generator.standard_normal((N_ITEMS, width)) * np.arange(1, width + 1) ** -0.8
        scores[:, 0] += 8.0
        rows = scores @ basis
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        np.save(path, rows)
        for is_centred in (False, True):
            exact = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
            exact -= is_centred * exact.mean(axis=0)
            _, s, vt = np.linalg.svd(exact, full_matrices=False)
            np.savez(folder / f"made-{width}.npy.{is_centred}.npz", s=s[:K], v=vt[:K].T)
    return path


def _versions() -> str:
    packages = ("numpy", "scipy", "torch", "scikit-learn", "pyarrow")
    found = []
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} absent")
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {', '.join(found)}"


def _line(name: str, *cells: str) -> None:
    print(
        f"{name:<28}" + "".join(f"{cell:>{max(len(cell) + 1, 10)}}" for cell in cells), flush=True
    )


PARTS = {"solvers": compare_solvers, "sweep": compare_sweeps, "growth": compare_sizes}


if __name__ == "__main__":
    raise SystemExit(main())
