"""The optimizer, its learning rate over the steps, and its state as named arrays."""

import numpy as np
import torch
from torch import nn

from ace_steps.backbones.settings import TrainingSettings
from ace_steps.errors import InputError

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def build_optimizer(model: nn.Module, training: TrainingSettings) -> torch.optim.Optimizer:
    """Adam (weight decay added to the gradient) or AdamW (taken off the weights).

    Only matrices decay: a bias or a layer norm pulled towards zero loses its meaning.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": training.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[training.optimizer](groups, lr=training.lr, fused=True)


def rate_of_step(training: TrainingSettings, step: int, n_steps: int) -> float:
    """The learning rate of a step: it grows evenly over ``warmup_steps``, then stays or falls.

    Args:
        training: With ``lr_schedule`` linear, the rate falls evenly from the end of the warm-up on
            and would be zero one step after the last.
        step: Counted from 1 over all epochs.
        n_steps: Steps of all ``epochs``, whether or not the training stops before.
    """
    if step <= training.warmup_steps:
        return training.lr * step / training.warmup_steps
    if training.lr_schedule == "constant":
        return training.lr
    return training.lr * (n_steps + 1 - step) / (n_steps + 1 - training.warmup_steps)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def weights_as_arrays(model: nn.Module) -> dict[str, np.ndarray]:
    """Copies of the trained parameters by name."""
    return {name: p.detach().cpu().numpy().copy() for name, p in model.named_parameters()}


def load_weights(model: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Set every trained parameter; names and shapes must be the model's own.

    Raises:
        InputError: a parameter is missing, is not known, or has another shape.
    """
    own = dict(model.named_parameters())
    differing = sorted(own.keys() ^ arrays.keys())
    if differing:
        problem = "is missing" if differing[0] in own else "is no parameter of the model"
        raise InputError(f"weights: '{differing[0]}' {problem}; train again.")
    with torch.no_grad():
        for name, parameter in own.items():
            shape, expected = arrays[name].shape, tuple(parameter.shape)
            if shape != expected:
                raise InputError(
                    f"weights: '{name}': expected shape {expected}, got {shape}; train again."
                )
            parameter.copy_(torch.from_numpy(arrays[name]))


def optimizer_as_arrays(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, np.ndarray]:
    """Copies of the optimizer's tensors, named ``<parameter>/<tensor>``."""
    return {
        f"{name}/{key}": tensor.cpu().numpy().copy()
        for name, parameter in model.named_parameters()
        for key, tensor in optimizer.state[parameter].items()
    }


def load_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, arrays: dict[str, np.ndarray]
) -> None:
    """Set the optimizer's tensors to what ``optimizer_as_arrays`` gave."""
    parameters = dict(model.named_parameters())
    for name, array in arrays.items():
        parameter, _, key = name.rpartition("/")
        tensor = torch.from_numpy(array.copy()).to(parameters[parameter].device)
        optimizer.state[parameters[parameter]][key] = tensor
