"""Training and ranking SASRec here, in RecBole and in RecTools, on one atomic .inter file.

python benchmarks/training.py --inter amazon-beauty.inter --work build/peers \
    --epochs 60 --patience 5 --vectors results/beauty/refine/.../item_vectors.parquet

Same width, layers, heads, length, hidden dropout, loss (softmax over all items), split (leave one
out in file order) and initial item table for all; without --vectors each library starts as it does
by itself. What differs: RecTools sets its attention dropout (0.5, not 0.3) and inner width (128,
not 256) by itself, knows only items with a training event, and trains the last 50 positions of a
history; RecBole's softmax has a class for the padding. Every prefix is a target in RecBole and
here, of up to 50 events in RecBole, of 26 to 50 in the long histories here.

Each runs in a process of its own, one after the other, the peers in virtual environments under
--work, made there on first use:

    recbole: recbole==1.2.1 with numpy<2, pandas<3, setuptools<81, which it needs
    rectools: rectools[torch]==0.19.0

RecBole makes a training row of every prefix (batches of 256 rows); RecTools and this package train
a history's positions in one pass (batches of 128 histories). Validation after every epoch is part
of the time to converge. Whatever was seen is kept in --work as a line of JSON an epoch. A peer that
has ended there is not run again, RecBole and RecTools go on from the last epoch when they were
killed, and what was measured on other data or with other options is refused, never shown as if it
were this. Then a table: the least seconds of an epoch and microseconds per trained target, the
least seconds to rank the validation targets, peak memory, the best validation metrics, and the
seconds until they were reached; seconds until each peer's best NDCG@10 was reached by the others;
and NDCG@10 after every epoch with the seconds gone by, which --figure draws. With --device cuda
also torch's peak memory on the GPU, and the share of an epoch's time in which the driver saw it
busy; RecTools was not run there.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from convergence import draw, show
from gpu_use import device_name, watched
from sasrec import WIDTH
from training_curve import Curve, append, read_rows
from training_peers import TRAINERS, Work

REQUIREMENTS = {
    "ours": [],
    "recbole": ["recbole==1.2.1", "torch==2.13.0", "numpy<2", "pandas<3", "setuptools<81"],
    "rectools": ["rectools[torch]==0.19.0", "torch==2.13.0"],
}
ENDED = {"ended": True}
PACKAGES = {"ours": "ace-steps", "recbole": "recbole", "rectools": "rectools"}


def python_of(peer: str, work: Path) -> str:
    """The interpreter of a peer's environment, made if it is missing."""
    if peer == "ours":
        return sys.executable
    python, ready = work / peer / "bin" / "python", work / peer / ".ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", work / peer], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *REQUIREMENTS[peer]], check=True)
        ready.touch()
    return str(python)


def run_peer(peer: str, options: argparse.Namespace) -> list[dict]:
    """Epochs of one peer, out of an earlier run or its own process; the last line tells of all."""
    path, wanted = options.work / f"{peer}.jsonl", asked(options, peer)
    rows = read_rows(path)
    if rows and rows[0]["asked"] != wanted:
        raise SystemExit(
            f"{path}: measured with {rows[0]['asked']}, asked for is {wanted}; "
            "give another --work or delete the file."
        )
    if not rows or rows[-1] != ENDED:
        # RecBole reads back its own pickled checkpoints, which torch refuses by default.
        here = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
        if peer == "ours":
            here["PYTHONPATH"] = str(Path(__file__).parents[1])
        command = [python_of(peer, options.work), __file__, *arguments(options), "--only", peer]
        with tempfile.TemporaryDirectory() as folder:
            code = subprocess.run(command, env=os.environ | here, cwd=folder).returncode
        if code:
            raise SystemExit(f"{peer} ended with {code}.")
    return read_rows(path)


def arguments(options: argparse.Namespace) -> list[str]:
    """The options for a process that runs in a folder of its own: every path absolute."""
    names = ("inter", "work", "vectors", "epochs", "patience", "precision", "device")
    given = {name: getattr(options, name) for name in names}
    return [x for name, value in given.items() if value for x in (f"--{name}", str(value))]


def asked(options: argparse.Namespace, peer: str) -> dict:
    """All that decides what is measured: files and code by their content, options, cores."""
    here = Path(__file__).parent
    code = [here / "sasrec.py", *sorted(here.glob("training*.py"))]
    if peer == "ours":
        code.append(here / "atomic.py")
        for package in ("backbones", "evaluation", "training"):
            code += sorted((here.parent / "ace_steps" / package).glob("*.py"))
    digests = {"code": digest(*code), "inter": digest(options.inter)}
    digests["vectors"] = options.vectors and digest(options.vectors)
    names = ("epochs", "patience", "precision", "device")
    return digests | {name: getattr(options, name) for name in names} | {"cores": cores()}


def digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def cores() -> int:
    return len(os.sched_getaffinity(0))


def computed_in(precision: str, device: str) -> str:
    """What the package computes in on this device, asked for this precision."""
    import torch

    from ace_steps.runtime import computing_precision

    return computing_precision(precision, torch.device(device))


def keep_vectors(path: Path, work: Path) -> None:
    """Put the initial table into a NumPy file, which the peers' environments can read."""
    from ace_steps.io.vectors import read_vectors

    vectors = read_vectors(path)
    if vectors.matrix.shape[1] != WIDTH:
        raise SystemExit(f"{path} has vectors of {vectors.matrix.shape[1]} entries, not {WIDTH}")
    ids = vectors.ids.to_numpy().astype(str)
    np.savez(work / "vectors.npz", ids=ids, matrix=vectors.matrix)


def train_alone(options: argparse.Namespace) -> None:
    """Train one peer in this process."""
    lookup = None
    if options.vectors:
        kept = np.load(options.work / "vectors.npz")
        rows = dict(zip(kept["ids"].tolist(), kept["matrix"].astype(np.float32), strict=True))
        lookup = rows.__getitem__
    path = options.work / f"{options.only}.jsonl"
    checkpoint = path.with_suffix(".checkpoint")
    if options.only == "ours" or not checkpoint.exists():
        about = {"asked": asked(options, options.only), "device": device_name(options.device)}
        about |= {"torch": version("torch"), "version": version(PACKAGES[options.only])}
        path.write_text(json.dumps(about) + "\n")
    work = Work(options.inter, Path.cwd(), checkpoint, lookup, options.precision, options.device)
    patience = options.patience or options.epochs
    with watched(options.device) as gpu:
        TRAINERS[options.only](work, Curve.read(path, options.epochs, patience, gpu))
    append(path, ENDED)
    checkpoint.unlink(missing_ok=True)


def options_of() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--inter", type=Path, required=True, help="RecBole atomic file")
    options.add_argument("--work", type=Path, required=True, help="folder of all that is kept")
    options.add_argument("--vectors", type=Path, help="item_vectors of width 128 to start from")
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--patience", type=int, help="epochs; none: all epochs are trained")
    options.add_argument("--peers", nargs="+", choices=REQUIREMENTS, default=list(REQUIREMENTS))
    options.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    options.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options.add_argument("--figure", type=Path, help="SVG of NDCG@10 over time")
    options.add_argument("--only", choices=REQUIREMENTS, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    chosen.inter, chosen.work = chosen.inter.resolve(), chosen.work.resolve()
    chosen.vectors = chosen.vectors and chosen.vectors.resolve()
    return chosen


def main() -> None:
    options = options_of()
    if options.only:
        train_alone(options)
        return
    options.precision = computed_in(options.precision, options.device)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.vectors:
        keep_vectors(options.vectors, options.work)
    peers = {peer: run_peer(peer, options) for peer in options.peers}
    show(peers)
    if options.figure:
        draw(peers, options.figure)


if __name__ == "__main__":
    main()
