"""Which values are quantised, which share parameters, what stays in float and for which reason."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.quantize import QuantizedGraph, StaticInt8, quantize
from compress.quantize.capture import capture
from compress.quantize.convolutions import lower_convolutions
from compress.quantize.fold import fold_batch_norm
from compress.quantize.normalise import normalise
from compress.quantize.placement import place
from compress.quantize.rules import ADDITIONS

IMAGES = torch.rand(16, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


class Apply(nn.Module):
    """A forward pass from a function of the image and one convolution."""

    def __init__(self, function: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.function = function

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.function(image, self.conv)  # type: ignore[operator]
        return result


def quantized(function: object) -> QuantizedGraph:
    return quantize(Apply(function), IMAGES[:1], StaticInt8(), IMAGES)


def activations(graph: QuantizedGraph) -> dict[str, tuple[float, int]]:
    """Name of each quantised activation -> (scale, zero_point)."""
    return {
        name: (entry["scale"], entry["zero_point"])
        for name, entry in graph.qparams.items()
        if "." not in name and not isinstance(entry["scale"], list)
    }


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x, conv: conv(x), []),
        (lambda x, conv: F.relu6(conv(x)) + x, []),
        (lambda x, conv: F.pad(conv(x), (1, 1, 1, 1)), []),
        (lambda x, conv: torch.cat(conv(x).chunk(2, 1), 2), []),
        (lambda x, conv: conv(torch.sin(x)), [("aten.sin", "no integer kernel")]),
        (lambda x, conv: torch.sin(conv(x)).flatten(1), [("aten.sin", "no integer"), ("reshape", "in float")]),
        (lambda x, conv: conv(F.pad(x, (1, 1), value=2.0)), []),
        (lambda x, conv: F.avg_pool2d(conv(x), 3, 2, 1), []),
        (lambda x, conv: F.hardtanh(conv(x), -3.0, 3.0), []),
        (lambda x, conv: torch.cat([torch.sigmoid(conv(x)), x], 1), []),
        (lambda x, conv: torch.softmax(conv(x), 1), []),
        (lambda x, conv: torch.maximum(conv(x), torch.tensor(0.5)), [("maximum", "one of its operands is a constant")]),
        (lambda x, conv: F.pad(conv(x), (1, 1, 1, 1), mode="circular"), [("pad", "wraps around in float")]),
        (lambda x, conv: torch.add(conv(x), x, alpha=2), [("add", "alpha")]),
        (
            lambda x, conv: F.conv2d(x, conv.weight * x.mean()),
            [("mean", "no integer kernel"), ("conv2d", "weight is computed")],
        ),
    ],
)
def test_what_stays_in_float_is_named(function: object, left: list[tuple[str, str]]) -> None:
    graph = quantized(function)
    assert len(graph.left_in_float) == len(left), graph.left_in_float
    for (where, reason), (operator, words) in zip(graph.left_in_float, left, strict=True):
        assert operator in where
        assert words in reason
    assert torch.isfinite(graph.module(IMAGES)).all()


def test_only_the_clipped_output_of_a_layer_is_observed() -> None:
    values = activations(quantized(lambda x, conv: F.relu6(conv(x) * 100)))
    assert set(values) == {"input_1", "conv2d", "hardtanh_default"}  # not the product
    assert values["hardtanh_default"] == (pytest.approx(6 / 255), -128)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, conv: F.max_pool2d(conv(x), 2),
        lambda x, conv: conv(x).flatten(1),
        lambda x, conv: conv(x).permute(0, 2, 3, 1),
        lambda x, conv: F.pad(conv(x), (0, 1, 0, 1)),
        lambda x, conv: F.avg_pool2d(conv(x), 2),
        lambda x, conv: torch.cat([conv(x), x], 1),
        lambda x, conv: conv(x)[:, :2],
    ],
)
def test_operators_that_move_values_share_their_inputs_parameters(function: object) -> None:
    values = activations(quantized(function))
    output = list(values)[-1]
    sources = {"conv2d", "input_1"} if output == "cat" else {"conv2d"}
    assert {values[name] for name in sources} == {values[output]}


def test_inputs_that_must_share_a_scale_do_although_one_is_prescribed() -> None:
    values = activations(quantized(lambda x, conv: torch.cat([torch.sigmoid(conv(x)), conv(x)], 1)))
    assert values["sigmoid"] == (1 / 256, -128)
    assert values["mul_tensor"] == values["cat"] == values["conv2d_1"] != values["sigmoid"]


def test_the_plan_of_a_planned_graph_is_the_same() -> None:
    model = Apply(lambda x, conv: torch.cat([torch.tanh(conv(x)), torch.sigmoid(x)], 1))
    graph = lower_convolutions(fold_batch_norm(normalise(capture(model, IMAGES[:1]))))
    assert place(graph) == place(graph)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, conv: F.relu6(conv(x) * 1e4 * (x * 1e4)),
        lambda x, conv: F.relu6(conv(x) * 1e5),
        lambda x, conv: F.relu6(conv(x) * 1e3 + x * 1e3),
    ],
)
def test_steps_stay_in_reach_of_the_kernels(function: object) -> None:
    """XNNPACK's products and sums wrap where their output's step is 2^8 times finer than what comes in, or more."""
    graph = quantized(function)
    values = activations(graph)
    last = [node for node in graph.module.graph.nodes if node.target in (torch.ops.aten.mul.Tensor, *ADDITIONS)][-1]
    scales = [node.args[1] for node in last.args]  # type: ignore[union-attr]
    coming = max(scales) if last.target in ADDITIONS else scales[0] * scales[1]
    assert list(values.values())[-1][0] * 2**7 == pytest.approx(coming)


@pytest.mark.parametrize(("function", "fixed"), [(torch.sigmoid, (1 / 256, -128)), (torch.tanh, (1 / 128, 0))])
def test_parameters_that_the_runtimes_prescribe(function: object, fixed: tuple[float, int]) -> None:
    values = activations(quantized(lambda x, conv: function(conv(x))))  # type: ignore[operator]
    assert list(values.values())[-1] == fixed


def test_a_relu_whose_input_has_other_readers_is_not_fused() -> None:
    values = activations(quantized(lambda x, conv: (lambda y: y + F.relu(y))(conv(x))))
    assert values["conv2d"] == values["relu"]
