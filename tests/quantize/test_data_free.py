"""Repairs that need no search: means from batch norm's statistics, and channels that never fire."""

from __future__ import annotations

import math

import pytest
import torch
from residual_nets import with_statistics
from scipy import integrate, stats
from torch import Tensor, nn

from compress.quantize import StaticInt8, quantize
from compress.quantize.capture import capture, constant_of
from compress.quantize.dead_channels import clamp_dead_channels
from compress.quantize.expectations import clipped_mean, expect_mean
from compress.quantize.fold import fold_batch_norm
from compress.quantize.normalise import normalise
from compress.quantize.placement import place
from compress.quantize.repair import give_biases

RANDOM = torch.Generator().manual_seed(0)
IMAGES = torch.randn(64, 3, 12, 12, generator=RANDOM)


@pytest.mark.parametrize("mean", [-7.0, -1.0, 0.0, 2.5, 9.0])
@pytest.mark.parametrize("deviation", [0.1, 1.0, 4.0])
@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (0.0, math.inf), (-1.0, 1.0)])
def test_the_mean_of_a_clipped_normal(mean: float, deviation: float, low: float, high: float) -> None:
    normal = stats.norm(mean, deviation)
    start, end = max(low, mean - 12 * deviation), min(high, mean + 12 * deviation)
    inside = integrate.quad(lambda x: x * normal.pdf(x), start, end, points=[mean])[0] if start < end else 0.0
    expected = low * normal.cdf(low) + inside + (high * normal.sf(high) if high < math.inf else 0.0)
    found = clipped_mean(torch.tensor([mean]).double(), torch.tensor([deviation]).double(), low, high)
    assert float(found) == pytest.approx(expected, abs=1e-6)


class Normed(nn.Module):
    """(n, 3, h, w) -> (n, 5): every convolution has a batch norm, one a residual."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.norm1 = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        first = nn.functional.relu6(self.norm1(self.conv1(image)))
        chain = first + self.norm2(self.conv2(first))
        logits: Tensor = self.head(chain.mean((2, 3)))
        return logits


def test_expected_means_are_those_of_normal_images() -> None:
    model = with_statistics(Normed(), IMAGES)
    graph = fold_batch_norm(normalise(capture(model, IMAGES[:1])))
    (head,) = (node for node in graph.graph.nodes if "linear" in str(node.target))
    found = expect_mean(head.args[0])
    inputs: list[Tensor] = []
    model.head.register_forward_pre_hook(lambda _module, args: inputs.append(args[0]))  # type: ignore[union-attr, operator]
    with torch.no_grad():
        model(IMAGES)
    assert found is not None
    torch.testing.assert_close(found.float(), inputs[0].mean(0), atol=0.05, rtol=0.05)
    first = next(node for node in graph.graph.nodes if "conv2d" in str(node.target))
    assert expect_mean(first.args[0]) is None  # nobody knows the input's mean


def test_analytic_bias_correction_takes_most_of_the_mean_error_away() -> None:
    model = with_statistics(Normed(), IMAGES)
    with torch.no_grad():
        expected = model(IMAGES)
        shifts = [
            float((quantize(model, IMAGES[:1], scheme, IMAGES).module(IMAGES) - expected).mean(0).abs().mean())
            for scheme in (StaticInt8(), StaticInt8(bias_correction="analytic"))
        ]
    assert shifts[1] < 0.7 * shifts[0]


def with_dead_channels() -> nn.Module:
    """Of six channels the second never fires and the fifth is always 6; the third is silent on IMAGES only."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6)
    with_statistics(nn.Sequential(conv, norm), IMAGES)
    with torch.no_grad():
        norm.weight[1], norm.bias[1] = 1.0, -100.0
        norm.weight[4], norm.bias[4] = 1.0, 100.0
        norm.weight[2], norm.bias[2] = 1.0, -5.9
    return nn.Sequential(conv, norm, nn.ReLU6(), nn.Conv2d(6, 4, 1, bias=False)).eval()


def test_dead_channels_become_constant_and_the_others_stay() -> None:
    model = with_dead_channels()
    graph = fold_batch_norm(normalise(capture(model, IMAGES[:1])))
    plan = place(graph)
    give_biases(graph, plan.layers)
    constants = [constant_of(graph, argument) for argument in plan.layers[0].node.args[1:3]]
    weight, bias = (each for each in constants if each is not None)
    before = weight.clone()
    assert clamp_dead_channels(graph, plan.layers, IMAGES) == 2
    with torch.no_grad():
        assert float(model[:3](IMAGES)[:, 2].max()) == 0  # type: ignore[index]
        torch.testing.assert_close(graph(IMAGES), model(IMAGES), atol=1e-5, rtol=1e-5)
    assert float(weight[[1, 4]].abs().max()) == 0
    assert bias[[1, 4]].tolist() == [0.0, 6.0]
    assert torch.equal(weight[[0, 2, 3, 5]], before[[0, 2, 3, 5]])


def test_quantised_dead_channels_stay_exactly_dead() -> None:
    model = with_dead_channels()[:3]  # type: ignore[index]
    graph = quantize(model, IMAGES[:1], StaticInt8(clamp_dead_channels=True), IMAGES)
    assert float(graph.module(IMAGES * 100)[:, 1].abs().max()) == 0
