"""From a float graph to an integer one, in two steps: `observe` fixes every scale, `write` stores the integers.

What changes floats comes before the scales, what changes integers after: no scale depends on how a weight was rounded.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, fx

from compress.quantize.calibrate import calibrate
from compress.quantize.choose import choose
from compress.quantize.dead_channels import clamp_dead_channels
from compress.quantize.equalise import equalise
from compress.quantize.insert import insert
from compress.quantize.learner import Learner
from compress.quantize.parameters import QParams
from compress.quantize.placement import Plan, place
from compress.quantize.repair import give_biases, repair
from compress.quantize.schemes import QATInt8, StaticInt8
from compress.types import Json


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """A float graph that has seen its calibration set.

    graph: batch norm folded, repaired as far as floats are concerned.
    plan: of the whole graph.
    qparams: one per group of the plan.
    data: (n, ...) float32, the calibration set.
    """

    graph: fx.GraphModule
    plan: Plan
    qparams: tuple[QParams, ...]
    data: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """An integer graph; table, left_in_float and exempt as in `compress.quantize.QuantizedGraph`."""

    graph: fx.GraphModule
    table: dict[str, Json]
    left_in_float: tuple[tuple[str, str], ...]
    exempt: tuple[str, ...]


def observe(graph: fx.GraphModule, scheme: StaticInt8 | QATInt8, data: Tensor) -> Observed:
    """Repair the graph's floats in place, as `scheme` says, and calibrate it.

    Raises:
        ModelError: an activation is not finite, or the graph cannot run on `data`.
    """
    plan = place(graph)
    corrects = isinstance(scheme, StaticInt8) and scheme.bias_correction is not None
    if scheme.clamp_dead_channels or corrects:
        give_biases(graph, plan.layers)
    if scheme.clamp_dead_channels:
        clamp_dead_channels(graph, plan.layers, data)
    if scheme.equalise:
        equalise(graph, plan.layers, data)
    ranges = calibrate(graph, plan.groups, data, scheme.calibration)
    return Observed(graph=graph, plan=plan, qparams=tuple(choose(graph, plan, ranges)), data=data)


def write(
    observed: Observed,
    scheme: StaticInt8,
    learner: Learner | None = None,
    exempt: Mapping[str, str] = MappingProxyType({}),
) -> Written:
    """A copy of the graph on integers, with `scheme`'s repairs of integers; `observed` stays as it is.

    Args:
        observed: the graph and its scales, which are the same whatever is exempt.
        scheme: says how weights are rounded.
        learner: of the scheme's learnt rounding; None makes one that keeps nothing.
        exempt: as for `place`.
    """
    graph = copy.deepcopy(observed.graph)
    plan = place(graph, exempt)
    chosen = {v.name: q for group, q in zip(observed.plan.groups, observed.qparams, strict=True) for v in group}
    table = insert(graph, plan, [chosen[group[0].name] for group in plan.groups])
    learner = learner or (Learner(scheme.rounding) if scheme.rounding else None)
    if learner or scheme.bias_correction:
        repair(observed.graph, graph, plan.layers, observed.data, learner, scheme.bias_correction)
    names = tuple(layer.node.name for layer in observed.plan.layers if layer.node.name in exempt)
    return Written(graph=graph, table=table, left_in_float=plan.left_in_float, exempt=names)
