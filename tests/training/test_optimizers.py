import numpy as np
import pytest
import torch

from ace_steps.errors import InputError
from ace_steps.training.optimizers import (
    build_optimizer,
    load_weights,
    rate_of_step,
    set_rate,
    weights_as_arrays,
)
from tests.training.made import small_settings


@pytest.mark.parametrize(
    ("schedule", "warmup_steps", "expected"),
    [
        ("constant", 4, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4]),
        ("constant", 0, [0.4] * 7),
        ("linear", 4, [0.1, 0.2, 0.3, 0.4, 0.3, 0.2, 0.1]),
        ("linear", 0, [0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05]),
    ],
)
def test_the_rate_grows_over_the_warm_up_and_then_stays_or_falls(schedule, warmup_steps, expected):
    training = small_settings(lr=0.4, warmup_steps=warmup_steps, lr_schedule=schedule).training
    assert [rate_of_step(training, step, 7) for step in range(1, 8)] == pytest.approx(expected)


@pytest.mark.parametrize(("optimizer", "weight"), [("adam", 2.0 - 0.01), ("adamw", 2.0 * 0.997)])
def test_decay_is_added_to_the_gradient_or_taken_off_the_weights_and_spares_biases(
    optimizer, weight
):
    layer = torch.nn.Linear(1, 1)
    for parameter in layer.parameters():
        torch.nn.init.constant_(parameter, 2.0)
        parameter.grad = torch.zeros_like(parameter)
    training = small_settings(optimizer=optimizer, lr=0.01, weight_decay=0.3).training
    build_optimizer(layer, training).step()  # adam's first step is lr, whatever the gradient's size
    assert layer.weight.item() == pytest.approx(weight, rel=1e-6)
    assert layer.bias.item() == 2.0


def test_a_step_moves_by_the_rate_that_was_set_last():
    layer = torch.nn.Linear(2, 1)  # a matrix and a bias: parameters of both groups
    optimizer = build_optimizer(layer, small_settings(lr=9.0).training)
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    set_rate(optimizer, 0.25)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()  # adam's first step is the rate, whatever the gradient's size
    for parameter, value in zip(layer.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), value - 0.25)


def test_weights_load_into_the_model_they_came_from_and_no_other():
    arrays, fresh = weights_as_arrays(torch.nn.Linear(3, 2)), torch.nn.Linear(3, 2)
    load_weights(fresh, arrays)
    assert all((weights_as_arrays(fresh)[name] == arrays[name]).all() for name in arrays)
    refused = {
        "'another' is no parameter": arrays | {"another": np.zeros(1)},
        "'bias' is missing": {"weight": arrays["weight"]},
        r"'weight': expected shape \(2, 3\), got \(1, 2\)": arrays | {"weight": np.zeros((1, 2))},
    }
    for message, others in refused.items():
        with pytest.raises(InputError, match=message):
            load_weights(fresh, others)
