"""Equalisation: the float function stays, the ranges that share a scale become alike, ReLU6 is left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from residual_nets import Mobile, Residual, with_statistics
from torch import Tensor, fx, nn

from compress.quantize import StaticInt8, quantize
from compress.quantize.capture import capture, constant_of
from compress.quantize.equalise import equalise
from compress.quantize.fold import fold_batch_norm
from compress.quantize.normalise import normalise
from compress.quantize.placement import place

RANDOM = torch.Generator().manual_seed(0)
IMAGES = torch.rand(32, 1, 28, 28, generator=RANDOM)


class Chain(nn.Module):
    """Two convolutions with something between; the first one's channels differ a thousandfold."""

    def __init__(self, between: nn.Module, *, depthwise: bool = False, dead: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.between = nn.Conv2d(1, 8, 3), between
        self.second = nn.Conv2d(8, 8, 3, groups=8 if depthwise else 1)
        with torch.no_grad():
            spread = torch.logspace(-2, 1, 8)
            spread[3] = 0.0 if dead else spread[3]
            self.first.weight.mul_(spread.reshape(-1, 1, 1, 1))
            self.first.bias.mul_(spread)  # type: ignore[union-attr]

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.second(self.between(self.first(image)))
        return features


class Bottlenecks(nn.Module):
    """Linear bottlenecks with a residual chain, as in MobileNetV2: three layers write what two read."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.expand, self.project = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 1), nn.Conv2d(16, 8, 1)
        self.head = nn.Linear(8, 5)
        with torch.no_grad():
            for layer in (self.stem, self.project):
                layer.weight.mul_(torch.logspace(-2, 1, 8).reshape(-1, 1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        stem = self.stem(image)
        chain = stem + self.project(torch.nn.functional.relu6(self.expand(stem)))
        logits: Tensor = self.head(torch.relu(chain).mean((2, 3)))
        return logits


def float_graph(model: nn.Module) -> fx.GraphModule:
    return fold_batch_norm(normalise(capture(model, IMAGES[:1])))


@pytest.mark.parametrize(
    ("model", "stretches"),
    [
        (Chain(nn.ReLU()), 1),
        (Chain(nn.LeakyReLU()), 1),
        (Chain(nn.Identity()), 1),
        (Chain(nn.MaxPool2d(2)), 1),
        (Chain(nn.ReLU(), depthwise=True), 1),
        (Chain(nn.ReLU(), dead=True), 1),
        (Bottlenecks(), 1),
        (Chain(nn.ReLU6()), 0),
        (Chain(nn.Hardswish()), 0),
        (Chain(nn.Softmax(1)), 0),
        (nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1)] * 2), 0),  # one layer twice: its weights have two readers
        (with_statistics(Residual(), IMAGES), 4),
        (with_statistics(Mobile(), IMAGES), 0),
    ],
)
def test_the_float_function_stays(model: nn.Module, stretches: int) -> None:
    graph = float_graph(model)
    before = {name: value.clone() for name, value in graph.named_buffers()}
    with torch.no_grad():
        expected = model.double()(IMAGES.double())
        model.float()
        assert equalise(graph, place(graph).layers, IMAGES) == stretches
        torch.testing.assert_close(graph(IMAGES).double(), expected, rtol=1e-4, atol=1e-5)
    changed = [name for name, value in graph.named_buffers() if not torch.equal(value, before[name])]
    assert bool(changed) == bool(stretches)


def relative_ranges(graph: fx.GraphModule, model: Chain) -> tuple[np.ndarray, np.ndarray]:
    """Of the activation and of the second layer's weights, per channel, computed with the layers' own modules."""
    first, second = (node for node in graph.graph.nodes if "conv2d" in str(node.target))
    weight, bias, reader = (constant_of(graph, node) for node in (first.args[1], first.args[2], second.args[1]))
    assert weight is not None
    assert reader is not None
    activation = model.between(nn.functional.conv2d(IMAGES, weight, bias)).abs().amax((0, 2, 3)).numpy()
    used = (reader.abs() / reader.abs().flatten(1).amax(1).reshape(-1, 1, 1, 1)).amax((0, 2, 3)).numpy()
    return activation, used


def test_ranges_become_alike() -> None:
    model = Chain(nn.ReLU())
    graph = float_graph(model)
    activation, _ = relative_ranges(graph, model)
    assert activation.max() / activation.min() > 100
    equalise(graph, place(graph).layers, IMAGES)
    activation, weights = relative_ranges(graph, model)
    ratio = (activation / activation.max()) / weights
    assert ratio.max() / ratio.min() < 4  # 1 would do, did the largest weight of a filter not move with the factors
    assert activation.max() / activation.min() < 50


def test_depthwise_readers_let_the_activation_be_equal() -> None:
    model = Chain(nn.ReLU(), depthwise=True)
    graph = float_graph(model)
    equalise(graph, place(graph).layers, IMAGES)
    _first, second = (node for node in graph.graph.nodes if "conv2d" in str(node.target))
    weight = constant_of(graph, second.args[1])
    assert weight is not None
    assert weight.shape == (8, 1, 3, 3)


@pytest.mark.parametrize("model", [Chain(nn.ReLU()), Bottlenecks()])
def test_int8_gains(model: nn.Module) -> None:
    with torch.no_grad():
        expected = model(IMAGES)
    noise = [
        float((quantize(model, IMAGES[:1], scheme, IMAGES).module(IMAGES) - expected).square().mean())
        for scheme in (StaticInt8(), StaticInt8(equalise=True))
    ]
    assert noise[1] < noise[0]
