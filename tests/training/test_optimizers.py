import pytest
import torch

from ace_steps.training.optimizers import build_optimizer, rate_of_step, set_rate
from tests.training.made import small_settings


@pytest.mark.parametrize(
    ("schedule", "warmup_steps", "wanted"),
    [
        ("constant", 4, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4]),
        ("constant", 0, [0.4] * 7),
        ("linear", 4, [0.1, 0.2, 0.3, 0.4, 0.3, 0.2, 0.1]),
        ("linear", 0, [0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05]),
    ],
)
def test_the_rate_grows_over_the_warm_up_and_then_stays_or_falls(schedule, warmup_steps, wanted):
    training = small_settings(lr=0.4, warmup_steps=warmup_steps, lr_schedule=schedule).training
    rates = [rate_of_step(training, step, 7) for step in range(1, 8)]
    assert rates == pytest.approx(wanted)


@pytest.mark.parametrize(("optimizer", "wanted"), [("adam", 2.0 - 0.01), ("adamw", 2.0 * 0.997)])
def test_adam_adds_the_decay_to_the_gradient_and_adamw_takes_it_off_the_weights(optimizer, wanted):
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 2.0)
    training = small_settings(optimizer=optimizer, lr=0.01, weight_decay=0.3).training
    layer.weight.grad = torch.zeros(1, 1)
    build_optimizer(layer, training).step()  # adam's first step is lr, whatever the gradient's size
    assert layer.weight.item() == pytest.approx(wanted, rel=1e-6)


def test_a_step_moves_by_the_rate_that_was_set_last():
    layer = torch.nn.Linear(2, 1)  # a matrix and a bias: parameters of both groups
    optimizer = build_optimizer(layer, small_settings(lr=9.0).training)
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    set_rate(optimizer, 0.25)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()  # adam's first step is the rate, whatever the gradient's size
    for parameter, value in zip(layer.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), value - 0.25)
