r"""Train a sequential recommender that starts from refined item vectors.

python -m ace_steps.steps.train_backbone --interactions interactions.parquet \
    --items items.parquet --vectors item_vectors.parquet --settings '{"model": "sasrec"}' \
    --dataset ml-100k --encoder smollm2 --refinement ace --backbone sasrec --seed 1 \
    --best best.safetensors --last last.safetensors --curve curve.parquet --state state
"""

from functools import partial
from pathlib import Path
from typing import Annotated

from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.command import log, main_of
from ace_steps.io import files, parquet
from ace_steps.io.tables import TRAINING_CURVE
from ace_steps.io.tensors import write_tensors
from ace_steps.runtime import computing_precision, peak_memory_mb, select_device
from ace_steps.sequences.inputs import RunOptions, read_inputs
from ace_steps.training.checkpoints import (
    curve_table,
    describe_run,
    read_state,
    remove_state,
    with_facts,
    write_state,
)
from ace_steps.training.loop import train
from ace_steps.training.tasks import build_task


def run(
    *,
    options: RunOptions,
    best: Annotated[Path, "weights to write"],
    last: Annotated[Path, "weights to write"],
    curve: Annotated[Path, "training_curve to write"],
    state: Annotated[Path, "folder to resume from"],
) -> None:
    """Read the tables, train, write weights and curve."""
    identity, seed = options.identity, options.seed
    chosen = parse_backbone(options.settings, "--settings")
    inputs = read_inputs(**options.tables)
    model = build_recommender(inputs.matrix, inputs.item_encoder, chosen, seed)
    task = build_task(inputs.histories, chosen, model.network, len(inputs.items))
    device = select_device(options.device)  # last, as it may wait: bad input is refused at once
    precision = computing_precision(chosen.training.precision, device)
    note = describe_run(options, chosen)
    note = with_facts(note, device=device.type, precision=precision)
    trained = train(
        model.to(device),
        inputs.histories,
        task,
        settings=chosen,
        seed=seed,
        state=read_state(state, note),
        keep=partial(write_state, state, run=note),
    )
    note = with_facts(note, best_epoch=trained.best_epoch, n_epochs=len(trained.curve))
    with files.published_together():
        write_tensors(best, trained.best_weights, note)
        write_tensors(last, trained.weights, note)
        parquet.write_table(curve_table(trained, identity), TRAINING_CURVE, curve, note)
    remove_state(state)
    value, by = trained.curve[trained.best_epoch - 1]["value"], chosen.training
    log.info(
        "best %s@%d %.4f in epoch %d of %d; %d targets, %.0f MB",
        *(by.metric, by.cutoff, value, trained.best_epoch, len(trained.curve)),
        *(task.n_targets, peak_memory_mb()),
    )


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
