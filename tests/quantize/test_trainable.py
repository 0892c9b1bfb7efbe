"""Quantisation-aware training: the simulation is what is stored, gradients pass, and training helps."""

from __future__ import annotations

import copy

import pytest
import torch
from residual_nets import Mobile, Residual, with_statistics
from torch import Tensor, nn

from compress.errors import ModelError
from compress.quantize import LearntRounding, QATInt8, StaticInt8, TrainableGraph, finish, prepare, quantize

IMAGES = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
SCHEME = StaticInt8()


class Attentive(nn.Module):
    """Two uses of one weight, and constants in a sum and a product."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.head = nn.Conv2d(1, 6, 3, 2), nn.Conv2d(6, 6, 1), nn.Linear(6, 10)
        self.register_buffer("shift", torch.linspace(-1, 1, 6).reshape(1, 6, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.stem(images))
        features = self.twice(torch.relu(self.twice(features))) * 0.5 + self.shift
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


NETS = [Mobile, Residual, Attentive]


def prepared(net: type[nn.Module]) -> tuple[nn.Module, TrainableGraph]:
    torch.manual_seed(0)
    model = with_statistics(net(), IMAGES)
    return model, prepare(model, IMAGES[:1], SCHEME, IMAGES)


@pytest.mark.parametrize("net", NETS)
def test_before_training_it_is_what_quantize_makes(net: type[nn.Module]) -> None:
    model, trainable = prepared(net)
    expected = quantize(model, IMAGES[:1], SCHEME, IMAGES)
    finished = finish(trainable, SCHEME)
    assert finished.qparams == expected.qparams
    assert finished.left_in_float == expected.left_in_float
    for (name, one), (other_name, other) in zip(
        finished.module.named_buffers(), expected.module.named_buffers(), strict=True
    ):
        assert name == other_name
        assert torch.equal(one, other)


@pytest.mark.parametrize("repairs", [{"equalise": True}, {"clamp_dead_channels": True}])
def test_what_repairs_floats_comes_before_training(repairs: dict[str, bool]) -> None:
    torch.manual_seed(0)
    model = with_statistics(Residual(), IMAGES)
    trainable = prepare(model, IMAGES[:1], QATInt8(**repairs), IMAGES)  # type: ignore[arg-type]
    expected = quantize(model, IMAGES[:1], StaticInt8(**repairs), IMAGES)  # type: ignore[arg-type]
    finished = finish(trainable, QATInt8(**repairs))  # type: ignore[arg-type]
    assert finished.qparams == expected.qparams
    assert ("equalise" in repairs) == (finished.qparams != quantize(model, IMAGES[:1], SCHEME, IMAGES).qparams)
    for one, other in zip(finished.module.buffers(), expected.module.buffers(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("scheme", [StaticInt8(rounding=LearntRounding()), StaticInt8(bias_correction="analytic")])
def test_repairs_of_integers_are_refused_where_there_are_none(scheme: StaticInt8) -> None:
    with pytest.raises(ModelError, match=r"rounding and bias_correction change integers.*use quantize"):
        prepare(Mobile(), IMAGES[:1], scheme, IMAGES)


@pytest.mark.parametrize("net", NETS)
def test_what_trains_is_what_is_stored(net: type[nn.Module]) -> None:
    """After some steps too: the outputs agree but for ties in rounding."""
    _, trainable = prepared(net)
    learn(trainable, torch.randn(64, 10, generator=torch.Generator().manual_seed(1)), steps=3)
    with torch.no_grad():
        got, stored = trainable(IMAGES), finish(trainable, SCHEME).module(IMAGES)
    step = (got.unique()[1:] - got.unique()[:-1]).min()
    assert (got - stored).abs().max() <= 2.5 * step
    assert (got - stored).abs().lt(step / 2).float().mean() > 0.95


@pytest.mark.parametrize("net", NETS)
def test_every_weight_and_bias_trains(net: type[nn.Module]) -> None:
    _, trainable = prepared(net)
    trainable(IMAGES).square().sum().backward()
    layers = [module for module in net().modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    gradients = [parameter.grad for parameter in trainable.parameters()]
    assert len(gradients) == 2 * len(layers)
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


def test_training_removes_noise_that_rounding_made() -> None:
    """The nets' own float logits are the target: what is left of the error after a few steps is less."""
    model, trainable = prepared(Mobile)
    with torch.no_grad():
        target = model(IMAGES)
    before = error(trainable, target)
    learn(trainable, target, steps=60)
    assert error(trainable, target) < 0.75 * before
    stored = finish(trainable, SCHEME).module
    assert error(stored, target) < 0.75 * before


def test_it_leaves_the_model_alone_and_can_be_finished_twice() -> None:
    model, trainable = prepared(Mobile)
    weights = copy.deepcopy(model.state_dict())
    first = finish(trainable, SCHEME).module(IMAGES)
    learn(trainable, torch.zeros(64, 10), steps=3)
    again = finish(trainable, SCHEME).module(IMAGES)
    assert not torch.equal(first, again)
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())


def test_a_copy_is_its_own() -> None:
    """Training keeps averages of weights in deep copies."""
    _, trainable = prepared(Mobile)
    other = copy.deepcopy(trainable)
    learn(other, torch.zeros(64, 10), steps=3)
    assert not torch.equal(other(IMAGES), trainable(IMAGES))
    assert torch.equal(finish(trainable, SCHEME).module(IMAGES), quantize_again(trainable))


def quantize_again(trainable: TrainableGraph) -> Tensor:
    value: Tensor = finish(copy.deepcopy(trainable), SCHEME).module(IMAGES)
    return value


def test_a_weight_that_became_nan_is_refused() -> None:
    _, trainable = prepared(Mobile)
    with torch.no_grad():
        next(trainable.parameters())[0] = torch.nan
    with pytest.raises(ModelError, match=r"stem_0_weight.* holds NaN or infinity after training; expected finite"):
        finish(trainable, SCHEME)


def learn(model: nn.Module, target: Tensor, steps: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(IMAGES) - target).square().mean().backward()
        optimizer.step()


def error(model: nn.Module, target: Tensor) -> float:
    with torch.no_grad():
        return float((model(IMAGES) - target).square().mean())
