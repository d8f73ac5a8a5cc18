"""SASRec here, in RecBole and in RecTools, trained epoch by epoch for benchmarks/training.py.

Each function trains one of them in its own environment and reports every epoch; it ends when the
report says so. What is the same for all and what is not: see there.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sasrec import (
    ATTENTION_DROPOUT,
    CUTOFF,
    DROPOUT,
    HEADS,
    INNER,
    LAYERS,
    LENGTH,
    LR,
    WIDTH,
    settings_json,
)
from training_curve import Curve


@dataclass(frozen=True)
class Work:
    """What every trainer is given.

    Attributes:
        inter: RecBole atomic file of user, item and time.
        folder: Its own, empty.
        checkpoint: Where a peer keeps what it goes on from after each epoch.
        vectors: Initial vectors (128,) by raw item id, or None for each library's own start.
        precision: Of our products with the catalogue.
        device: ``cpu`` or ``cuda``.
    """

    inter: Path
    folder: Path
    checkpoint: Path
    vectors: Callable[[str], object] | None
    precision: str
    device: str


def train_ours(work: Work, curve: Curve) -> None:
    """This package, in its own loop."""
    import torch
    from atomic import histories_of

    from ace_steps.backbones.recommender import build_recommender
    from ace_steps.backbones.settings import parse_backbone
    from ace_steps.training.checkpoints import TrainingState
    from ace_steps.training.loop import train
    from ace_steps.training.tasks import build_task

    limits = {"epochs": curve.epochs, "patience": curve.patience}
    text = settings_json(**limits, precision=work.precision)
    parsed = parse_backbone(text, "benchmark")
    histories, raw_ids = histories_of(work.inter)
    drawn = torch.randn(len(raw_ids), WIDTH, generator=torch.Generator().manual_seed(1))
    table = 0.02 * drawn
    if work.vectors:
        table = torch.stack([torch.from_numpy(work.vectors(raw)) for raw in raw_ids])
    table = torch.cat([torch.zeros(1, WIDTH), table])
    model = build_recommender(table, {"kind": "table"}, parsed, seed=1)
    task = build_task(histories, parsed, model.network, len(raw_ids))
    times = [time.perf_counter()]

    def keep(state: TrainingState) -> None:
        times.append(time.perf_counter())
        last = state.curve[-1]
        curve.add(
            train_s=last["seconds"],
            rank_s=times[-1] - times[-2] - last["seconds"],
            targets=task.n_targets,
            found={"recall@20": last["valid_recall_20"], "ndcg@10": last["valid_ndcg_10"]},
        )

    model = model.to(work.device)
    train(model, histories, task, settings=parsed, seed=1, state=TrainingState(), keep=keep)


def train_recbole(work: Work, curve: Curve) -> None:
    """RecBole: a training row of every prefix, batches of 256 rows."""
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    (work.folder / "data").mkdir()
    (work.folder / "data" / "data.inter").write_bytes(work.inter.read_bytes())
    settings = _recbole_settings(work, curve)
    config = Config(model="SASRec", dataset="data", config_dict=settings)
    init_seed(1, True)
    train_data, valid_data, _ = data_preparation(config, create_dataset(config))
    model = get_model("SASRec")(config, train_data.dataset).to(config["device"])
    if work.vectors:
        raw_ids = train_data.dataset.field2id_token["item_id"]
        with torch.no_grad():
            model.item_embedding.weight[0] = 0  # padding
            for row, raw in enumerate(raw_ids[1:], start=1):
                model.item_embedding.weight[row] = torch.from_numpy(work.vectors(raw))
    trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, model)
    if curve.scores:
        kept = torch.load(work.checkpoint, weights_only=True)
        model.load_state_dict(kept["model"])
        trainer.optimizer.load_state_dict(kept["optimizer"])
        _set_random(kept["random"])
    while not curve.is_over:
        begun = time.perf_counter()
        trainer._train_epoch(train_data, len(curve.scores))
        trained = time.perf_counter()
        found = trainer.evaluate(valid_data, load_best_model=False)
        ranked = time.perf_counter()
        kept = {"model": model.state_dict(), "optimizer": trainer.optimizer.state_dict()}
        kept["random"] = _random()
        _replace(work.checkpoint, partial(torch.save, kept))
        curve.add(
            train_s=trained - begun,
            rank_s=ranked - trained,
            targets=len(train_data.dataset),
            found={name: float(found[name]) for name in ("recall@20", "ndcg@10")},
        )


def _recbole_settings(work: Work, curve: Curve) -> dict:
    return {
        **{"data_path": str(work.folder), "checkpoint_dir": str(work.folder), **_on(work.device)},
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
        **{"epochs": curve.epochs, "metrics": ["Recall", "NDCG"], "topk": [CUTOFF, 20]},
        "metric_decimal_place": 10,
        **{"valid_metric": f"NDCG@{CUTOFF}", "stopping_step": curve.epochs},
    }


def _random() -> list:
    """Where torch's random numbers stand, on the CPU and on each GPU."""
    import torch

    return [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]


def _set_random(kept: list) -> None:
    import torch

    torch.set_rng_state(kept[0].cpu())
    torch.cuda.set_rng_state_all([state.cpu() for state in kept[1:]])


def _on(device: str) -> dict:
    """RecBole's settings for a device."""
    return {"use_gpu": True, "gpu_id": "0"} if device == "cuda" else {"use_gpu": False}


def train_rectools(work: Work, curve: Curve) -> None:
    """RecTools: a history's positions in one pass, batches of 128 histories."""
    import pandas as pd
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    events = pd.read_csv(work.inter, sep="\t").iloc[:, :2].set_axis(["user_id", "item_id"], axis=1)
    from_end = events.groupby("user_id").cumcount(ascending=False)
    order = pd.to_timedelta(events.groupby("user_id").cumcount(), unit="s")
    events = events.assign(weight=1.0, datetime=pd.Timestamp("2020-01-01") + order)
    train, valid = events[from_end >= 2], events[from_end == 1].set_index("user_id")["item_id"]
    dataset = Dataset.construct(train)
    targets = int((train.groupby("user_id").size() - 1).clip(upper=LENGTH).sum())
    model = SASRecModel(
        **{"n_factors": WIDTH, "n_blocks": LAYERS, "n_heads": HEADS, "session_max_len": LENGTH},
        **{"dropout_rate": DROPOUT, "loss": "softmax", "lr": LR, "batch_size": 128},
        **{"epochs": curve.epochs, "deterministic": True},
        get_trainer_func=lambda: _lightning_trainer(
            work, curve, targets, lambda: model, lambda: _rectools_metrics(model, dataset, valid)
        ),
    )
    if not curve.is_over:
        model.fit(dataset)


def _lightning_trainer(
    work: Work,
    curve: Curve,
    targets: int,
    model_of: Callable[[], object],
    metrics: Callable[[], dict],
) -> object:
    """A quiet trainer that puts in the initial table, validates and goes on where it was killed."""
    import torch
    from pytorch_lightning import Trainer
    from pytorch_lightning.callbacks import Callback

    class EveryEpoch(Callback):
        def on_train_epoch_start(self, trainer: object, _: object) -> None:
            if trainer.current_epoch == 0 and work.vectors is not None:
                self._put_table(model_of())
            self.begun = time.perf_counter()

        def _put_table(self, model: object) -> None:
            """After RecTools' own initialisation."""
            raw_ids = model.data_preparator.item_id_map.external_ids
            weight = model.torch_model.item_model.item_net_blocks[0].ids_emb.weight
            with torch.no_grad():
                weight[0] = 0  # padding
                for row, raw in enumerate(raw_ids[1:], start=1):
                    weight[row] = torch.from_numpy(work.vectors(raw))

        def on_train_epoch_end(self, trainer: object, module: object) -> None:
            trained, model = time.perf_counter(), model_of()
            model.is_fitted = True  # recommends while it is being fitted
            found = metrics()
            module.train()
            ranked = time.perf_counter()
            _replace(work.checkpoint, trainer.save_checkpoint)
            trainer.should_stop = curve.add(
                train_s=trained - self.begun,
                rank_s=ranked - trained,
                targets=targets,
                found=found,
            )

    class GoesOn(Trainer):
        def fit(self, *given: object) -> None:
            from_where = work.checkpoint if curve.scores else None
            super().fit(*given, ckpt_path=from_where)

    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return GoesOn(
        max_epochs=curve.epochs,
        callbacks=[EveryEpoch()],
        accelerator=work.device,
        **dict.fromkeys(quiet, False),
    )


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """A file that is whole or the one before."""
    new = path.with_suffix(".new")
    write(new)
    new.replace(path)


def _rectools_metrics(model: object, dataset: object, valid: object) -> dict:
    top = model.recommend(valid.index.to_numpy(), dataset, k=20, filter_viewed=False)
    ranks = top.loc[top["item_id"] == top["user_id"].map(valid), "rank"]
    gains = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= CUTOFF)
    return {"recall@20": len(ranks) / len(valid), "ndcg@10": gains / len(valid)}


TRAINERS = {"ours": train_ours, "recbole": train_recbole, "rectools": train_rectools}
