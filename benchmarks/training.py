"""Training and ranking SASRec here, in RecBole and in RecTools, on one atomic .inter file.

python benchmarks/training.py --inter amazon-beauty.inter --work build/peers --epochs 2

Same width, layers, heads, length, dropouts, loss (softmax over all items), targets (every prefix)
and split (leave one out in file order) for all. Each runs in a process of its own, one after the
other, the peers in virtual environments under --work, made there on first use:

    recbole: recbole==1.2.1 with numpy<2, pandas<3, setuptools<81, which it needs
    rectools: rectools[torch]==0.19.0

RecBole makes a training row of every prefix (batches of 256 rows); RecTools and this package train
a history's positions in one pass (batches of 128 histories). A line each: seconds of the last
epoch, microseconds per trained target, seconds to rank the validation targets, peak memory, and
the validation metrics after the epochs.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WIDTH, LAYERS, HEADS, INNER, LENGTH = 128, 2, 2, 256, 50
DROPOUT, ATTENTION_DROPOUT, LR = 0.5, 0.3, 1e-3
REQUIREMENTS = {
    "ours": [],
    "recbole": ["recbole==1.2.1", "torch==2.13.0", "numpy<2", "pandas<3", "setuptools<81"],
    "rectools": ["rectools[torch]==0.19.0"],
}


def train_ours(inter: Path, epochs: int, precision: str) -> dict:
    import numpy as np
    import polars as pl
    import torch

    from ace_steps.backbones.recommender import build_recommender
    from ace_steps.backbones.registry import parse_backbone
    from ace_steps.preprocess.splits import leave_one_out
    from ace_steps.training.histories import read_histories
    from ace_steps.training.loop import train
    from ace_steps.training.state import TrainingState
    from ace_steps.training.tasks import build_task

    training = {
        **{"train_targets": "all", "window_stride": 25, "negatives": 0, "batch_sequences": 128},
        **{"optimiser": "adam", "lr": LR, "weight_decay": 0.0, "warmup_steps": 0},
        **{"precision": precision, "epochs": epochs, "patience": epochs},
        **{"metric": "ndcg", "cutoff": 10},
    }
    settings = {
        **{"model": "sasrec", "width": WIDTH, "layers": LAYERS, "heads": HEADS, "inner": INNER},
        **{"max_length": LENGTH, "dropout": DROPOUT, "attention_dropout": ATTENTION_DROPOUT},
        **{"training": training, "ranking": {"tie_policy": "expected", "mask_seen": False}},
    }
    parsed = parse_backbone(json.dumps(settings), "benchmark")
    events = pl.read_csv(inter, separator="\t", new_columns=["user_id", "item_id", "time"])
    events = events.select(
        user=pl.col("user_id").rank("dense").cast(pl.Int32) - 1,
        item=pl.col("item_id").rank("dense").cast(pl.Int32),
    ).sort("user", maintain_order=True)
    events = leave_one_out(events).with_columns(position=pl.int_range(pl.len()).over("user"))
    n_items = events["item"].max()
    histories = read_histories(events, n_items)
    table = torch.cat([torch.zeros(1, WIDTH), 0.02 * torch.randn(n_items, WIDTH)])
    model = build_recommender(table, {"kind": "table"}, parsed, seed=1)
    task = build_task(histories, parsed, model.network, n_items)
    times: list[float] = []
    begin = time.perf_counter()
    state = train(
        model,
        histories,
        task,
        settings=parsed,
        seed=1,
        state=TrainingState(),
        keep=lambda _: times.append(time.perf_counter() - begin),
    )
    last = state.curve[-1]
    rank_s = np.diff([0.0, *times])[-1] - last["seconds"]
    return {
        **{"epoch_s": last["seconds"], "targets": task.n_targets, "rank_s": float(rank_s)},
        **{"recall@20": last["valid_recall_20"], "ndcg@10": last["valid_ndcg_10"]},
    }


def train_recbole(inter: Path, epochs: int, folder: Path) -> dict:
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "data.inter").write_bytes(inter.read_bytes())
    settings = {
        **{"data_path": str(folder), "checkpoint_dir": str(folder), "use_gpu": False},
        **{"show_progress": False, "state": "ERROR", "seed": 1, "benchmark_filename": None},
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {
            **{"split": {"LS": "valid_and_test"}, "group_by": "user"},
            **{"order": "TO", "mode": "full"},
        },
        **{"MAX_ITEM_LIST_LENGTH": LENGTH, "train_neg_sample_args": None, "loss_type": "CE"},
        **{"n_layers": LAYERS, "n_heads": HEADS, "hidden_size": WIDTH, "inner_size": INNER},
        **{"hidden_dropout_prob": DROPOUT, "attn_dropout_prob": ATTENTION_DROPOUT},
        **{"learning_rate": LR, "train_batch_size": 256, "eval_batch_size": 1024},
        **{"epochs": epochs, "metrics": ["Recall", "NDCG"], "topk": [10, 20]},
        **{"valid_metric": "NDCG@10", "stopping_step": epochs},
    }
    config = Config(model="SASRec", dataset="data", config_dict=settings)
    init_seed(1, True)
    train_data, valid_data, _ = data_preparation(config, create_dataset(config))
    model = get_model("SASRec")(config, train_data.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, model)
    for epoch in range(epochs):
        begin = time.perf_counter()
        trainer._train_epoch(train_data, epoch)
        epoch_s = time.perf_counter() - begin
    begin = time.perf_counter()
    found = trainer.evaluate(valid_data, load_best_model=False)
    return {
        **{"epoch_s": epoch_s, "targets": len(train_data.dataset)},
        **{"rank_s": time.perf_counter() - begin},
        **{"recall@20": float(found["recall@20"]), "ndcg@10": float(found["ndcg@10"])},
    }


def train_rectools(inter: Path, epochs: int, folder: Path) -> dict:
    import pandas as pd
    from pytorch_lightning import Trainer
    from pytorch_lightning.callbacks import Callback
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    class Clock(Callback):
        seconds = 0.0

        def on_train_epoch_start(self, *_):
            self.begin = time.perf_counter()

        def on_train_epoch_end(self, *_):
            Clock.seconds = time.perf_counter() - self.begin

    def trainer():
        return Trainer(
            max_epochs=epochs,
            callbacks=[Clock()],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    events = pd.read_csv(inter, sep="\t").iloc[:, :2].set_axis(["user_id", "item_id"], axis=1)
    from_end = events.groupby("user_id").cumcount(ascending=False)
    events["weight"] = 1.0
    order = pd.to_timedelta(events.groupby("user_id").cumcount(), unit="s")
    events["datetime"] = pd.Timestamp("2020-01-01") + order
    train, valid = events[from_end >= 2], events[from_end == 1].set_index("user_id")["item_id"]
    dataset = Dataset.construct(train)
    model = SASRecModel(
        **{"n_factors": WIDTH, "n_blocks": LAYERS, "n_heads": HEADS, "session_max_len": LENGTH},
        **{"dropout_rate": DROPOUT, "loss": "softmax", "lr": LR, "batch_size": 128},
        **{"epochs": epochs, "deterministic": True, "get_trainer_func": trainer},
    )
    model.fit(dataset)
    begin = time.perf_counter()
    top = model.recommend(valid.index.to_numpy(), dataset, k=20, filter_viewed=False)
    rank_s = time.perf_counter() - begin
    ranks = top.loc[top["item_id"] == top["user_id"].map(valid), "rank"]
    gains = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= 10)
    return {
        **{"epoch_s": Clock.seconds, "rank_s": rank_s},
        "targets": int((train.groupby("user_id").size() - 1).sum()),
        **{"recall@20": len(ranks) / len(valid), "ndcg@10": gains / len(valid)},
    }


def python_of(peer: str, work: Path) -> str:
    """The interpreter of a peer's environment, made if it is missing."""
    if peer == "ours":
        return sys.executable
    python = work / peer / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", work / peer], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *REQUIREMENTS[peer]], check=True)
    return str(python)


def run_peer(peer: str, options: argparse.Namespace) -> dict:
    """What a peer's own process measured."""
    arguments = [
        *(python_of(peer, options.work), __file__, "--inter", options.inter),
        *("--work", options.work, "--epochs", options.epochs, "--only", peer),
        *("--precision", options.precision),
    ]
    here = {"PYTHONPATH": str(Path(__file__).parents[1])} if peer == "ours" else {}
    # RecBole reads back its own pickled checkpoints, which torch refuses by default.
    environment = os.environ | here | {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    with tempfile.TemporaryDirectory() as folder:
        found = subprocess.run(
            [str(part) for part in arguments],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
        )
    if found.returncode:
        raise SystemExit(f"{peer} ended with {found.returncode}:\n{found.stderr}")
    return json.loads(found.stdout.strip().splitlines()[-1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--inter", type=Path, required=True, help="RecBole atomic file")
    options.add_argument("--work", type=Path, required=True, help="folder for the environments")
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--peers", nargs="+", choices=REQUIREMENTS, default=list(REQUIREMENTS))
    options.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    options.add_argument("--only", choices=REQUIREMENTS, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    chosen.inter, chosen.work = chosen.inter.resolve(), chosen.work.resolve()
    if chosen.only:
        folder = Path.cwd()
        train = {
            "ours": lambda: train_ours(chosen.inter, chosen.epochs, chosen.precision),
            "recbole": lambda: train_recbole(chosen.inter, chosen.epochs, folder),
            "rectools": lambda: train_rectools(chosen.inter, chosen.epochs, folder),
        }
        found = train[chosen.only]()
        found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    print("| | epoch, s | a target, us | ranking, s | peak, MB | Recall@20 | NDCG@10 |")
    print("|---|---|---|---|---|---|---|")
    for peer in chosen.peers:
        found = run_peer(peer, chosen)
        each = 1e6 * found["epoch_s"] / found["targets"]
        print(
            f"| {peer} | {found['epoch_s']:.1f} | {each:.0f} | {found['rank_s']:.1f} "
            f"| {found['peak_mb']:.0f} | {found['recall@20']:.4f} | {found['ndcg@10']:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
