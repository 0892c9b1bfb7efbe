"""One scale and zero_point per group of values, from the observed ranges and the limits of the runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import fx

from compress.quantize.capture import constant_of
from compress.quantize.parameters import (
    LARGEST_RATIO,
    SMALLEST_SCALE,
    QParams,
    activation_qparams,
    smallest_output_scale,
    sums_tie,
)
from compress.quantize.placement import Plan
from compress.quantize.ranges import Range

_UNTIE = 1 + 1 / 128  # moves a tie by up to one step over the whole range: rounding stays unbiased


def choose(graph: fx.GraphModule, plan: Plan, ranges: Sequence[Range]) -> list[QParams]:
    """Parameters per group of `plan`, in its order.

    Args:
        graph: the float graph that `plan` was made for.
        plan: what `place` decided.
        ranges: (low, high) per group, as `calibrate` returns them.
    """
    chosen = [
        QParams(scale=plan.fixed[i][0], zero_point=plan.fixed[i][1]) if i in plan.fixed else activation_qparams(*limits)
        for i, limits in enumerate(ranges)
    ]
    group_of = {value: number for number, group in enumerate(plan.groups) for value in group}
    for left, right, output in plan.sums:
        number, (low, high) = group_of[output], ranges[group_of[output]]
        operands = (chosen[group_of[left]].scale, chosen[group_of[right]].scale)
        floor = max(operands) / LARGEST_RATIO
        if number not in plan.fixed and sums_tie(*operands, chosen[number].scale):
            chosen[number] = activation_qparams(low * _UNTIE, high * _UNTIE)
        if number not in plan.fixed and chosen[number].scale < floor:
            chosen[number] = activation_qparams(low, high, floor)
    for layer in plan.layers:  # in graph order: a coarser output is known before the layers that read it
        number = group_of[layer.output]
        weight = constant_of(graph, layer.node.args[1])
        if weight is None or number in plan.fixed:
            continue
        floor = smallest_output_scale(weight, chosen[group_of[layer.source]].scale)
        if chosen[number].scale < floor:
            chosen[number] = activation_qparams(*ranges[number], max(floor, SMALLEST_SCALE))
    for node, output in plan.products:
        number, factor = group_of[output], 1.0
        for operand in cast(tuple[fx.Node, fx.Node], node.args):
            factor *= chosen[group_of[operand]].scale if operand in group_of else _constant_scale(graph, operand)
        if number not in plan.fixed and chosen[number].scale < factor / LARGEST_RATIO:
            chosen[number] = activation_qparams(*ranges[number], factor / LARGEST_RATIO)
    return chosen


def _constant_scale(graph: fx.GraphModule, operand: fx.Node) -> float:
    value = constant_of(graph, operand)
    return 1.0 if value is None else activation_qparams(float(value.min()), float(value.max())).scale
