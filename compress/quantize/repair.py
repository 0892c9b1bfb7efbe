"""Post-training repair of a quantised graph: its integers change, its scales and zero points do not.

Layer by layer in graph order, the float graph and the quantised one run side by side over the calibration set. Each
layer sees what the repaired layers before it produce (Nagel et al. 2020, section 3.4), so that later layers make up for
earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, fx

from compress.quantize.capture import add_constant, constant_of, module_path
from compress.quantize.expectations import expect_mean
from compress.quantize.learner import Learner
from compress.quantize.placement import Layer
from compress.quantize.rounding import LearntRounding, Reconstruction
from compress.quantize.stream import Stream
from compress.quantize.threads import threads_for
from compress.quantize.windows import PRODUCTS, channel_axis, count_macs, draw_windows, groups_of

BATCH_SIZE = 16
_INT32_MAX = 2.0**31 - 1


def give_biases(graph: fx.GraphModule, layers: Sequence[Layer]) -> None:
    """Let every layer have a bias that can be corrected: 0 where it had none."""
    for layer in layers:
        node = layer.node
        if len(node.args) > 2 and node.args[2] is not None:
            continue
        weight = cast(Tensor, constant_of(graph, node.args[1]))
        with graph.graph.inserting_before(node):
            zeros = add_constant(graph, f"{node.name}_bias", torch.zeros(len(weight)))
        node.args = (*node.args[:2], zeros, *node.args[3:])


def repair(
    original: fx.GraphModule,
    quantized: fx.GraphModule,
    layers: Sequence[Layer],
    data: Tensor,
    learner: Learner | None,
    correction: Literal["analytic", "calibrated"] | None,
) -> None:
    """Change the stored weights and biases of `quantized` in place.

    Args:
        original: the float graph that `quantized` was made from; nodes have the same names.
        quantized: what `insert` wrote.
        layers: in graph order; of either graph. Those that are no PRODUCTS keep what `insert` wrote.
        data: (n, ...) float32, the calibration set.
        learner: learns their rounding; None keeps the nearest steps.
        correction: give every output channel of a layer, before its activation, the mean that it has in float
            (Nagel et al. 2019, section 4.2); needs biases. See `StaticInt8.bias_correction`.
    """
    before, after = Stream(original, data, BATCH_SIZE), Stream(quantized, data, BATCH_SIZE)
    products = [layer for layer in layers if layer.node.target in PRODUCTS]
    weights = {layer.node: _stored(quantized, layer.node.args[1])[0] for layer in products}
    rows = learner.options.batch_size if learner else 0  # of what learns, all of a layer's weights see each
    work = [max(BATCH_SIZE * count_macs(node, weight), rows * weight.numel()) for node, weight in weights.items()]
    with torch.no_grad(), threads_for(max(work, default=0)):
        for number, layer in enumerate(products):
            pair = _Pair(
                before=before,
                after=after,
                exact=before.advance(layer.node.name),
                node=after.advance(layer.node.name),
                layer=layer,
            )
            if learner is not None:
                _round(pair, quantized, learner, (number, len(products), module_path(layer.node)))
            if correction is not None:
                expected = expect_mean(cast(fx.Node, pair.exact.args[0])) if correction == "analytic" else None
                error = _measured_error(pair) if expected is None else _expected_error(pair, quantized, expected)
                _take_from_bias(pair, quantized, error)


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """One layer in both graphs, its inputs computed and itself not yet."""

    before: Stream
    after: Stream
    exact: fx.Node
    node: fx.Node
    layer: Layer


def _round(pair: _Pair, quantized: fx.GraphModule, learner: Learner, place: tuple[int, int, str]) -> None:
    exact = next(pair.before.arguments(pair.exact))
    stored, scales = _stored(quantized, pair.node.args[1])
    bias = next(pair.after.arguments(pair.node))[2] if len(pair.node.args) > 2 else None
    groups = groups_of(pair.node)
    weight = exact[1].reshape(groups, len(stored) // groups, -1)
    per_filter = scales.reshape(groups, -1, 1)
    exact_bias = _row(exact[2] if len(exact) > 2 else None, weight)
    rows, targets = _draw(pair, exact[1].shape, weight, exact_bias, learner.options)
    task = Reconstruction(rows=rows, targets=targets, bias=_row(bias, weight), activation=pair.layer.activate)
    output = pair.layer.output
    with torch.enable_grad():
        learnt = learner.learn(task, weight, per_filter, f"{output.target} {output.args[1:]}", place)
    stored.copy_(learnt.reshape(stored.shape))


def _row(bias: Tensor | None, weight: Tensor) -> Tensor:
    """(groups, 1, filters) of a bias or of none."""
    groups, filters, _ = weight.shape
    return torch.zeros(groups, 1, filters) if bias is None else bias.reshape(groups, 1, filters)


def _draw(
    pair: _Pair, kernel: torch.Size, weight: Tensor, bias: Tensor, options: LearntRounding
) -> tuple[Tensor, Tensor]:
    """Windows of the quantised input, and the float responses to the float input, at the same positions."""
    random, same = (torch.Generator().manual_seed(options.seed) for _ in range(2))
    rows, targets = [], []
    images = sum(len(arguments[0]) for arguments in pair.after.arguments(pair.node))
    count = max(1, options.rows // images)
    for exact, arguments in zip(pair.before.arguments(pair.exact), pair.after.arguments(pair.node), strict=True):
        rows.append(draw_windows(pair.node, kernel, arguments[0], count, random))
        windows = draw_windows(pair.exact, kernel, exact[0], count, same)
        targets.append(pair.layer.activate(torch.baddbmm(bias, windows, weight.transpose(1, 2))))
    drawn, wanted = torch.cat(rows, 1), torch.cat(targets, 1)
    order = torch.randperm(drawn.shape[1], generator=random)
    return drawn[:, order], wanted[:, order]


def _measured_error(pair: _Pair) -> Tensor:
    return _mean(pair.after, pair.node) - _mean(pair.before, pair.exact)


def _expected_error(pair: _Pair, quantized: fx.GraphModule, mean: Tensor) -> Tensor:
    """(channels,) float64: what rounded weights make of an input with these means, zeros at borders left out."""
    stored, scales = _stored(quantized, pair.node.args[1])
    exact = next(pair.before.arguments(pair.exact))[1].double()
    error = stored * scales.double().reshape(-1, *[1] * (stored.dim() - 1)) - exact
    groups = groups_of(pair.node)
    by_group = error.reshape(groups, len(error) // groups, error.shape[1], -1).sum(3)
    return torch.bmm(by_group, mean.reshape(groups, -1, 1)).flatten()


def _take_from_bias(pair: _Pair, quantized: fx.GraphModule, error: Tensor) -> None:
    stored, scales = _stored(quantized, pair.node.args[2])
    corrected = (stored - error / scales.double()).round()
    stored.copy_(corrected.clamp(-_INT32_MAX, _INT32_MAX))


def _mean(stream: Stream, node: fx.Node) -> Tensor:
    """Mean of each channel of a layer's output over the whole set, (channels,) float64."""
    total, count = torch.zeros(()), 0
    for value in stream.outputs(node):
        channels = value.transpose(0, channel_axis(node)).flatten(1)
        total, count = total + channels.double().sum(1), count + channels.shape[1]
    return total / count


def _stored(quantized: fx.GraphModule, constant: Any) -> tuple[Tensor, Tensor]:
    """The integers and scales behind a dequantisation."""
    integers, scales = (constant_of(quantized, source) for source in constant.args[:2])
    return cast(Tensor, integers), cast(Tensor, scales)
