"""Ranges of activations, observed while the float graph runs on the calibration set."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, fx

from compress.errors import ModelError
from compress.quantize import ranges
from compress.quantize.capture import FORWARD_ERRORS, module_path
from compress.quantize.ranges import Range
from compress.quantize.refusals import first_line

BATCH_SIZE = 64
_BINS = 4096
Method = Literal["min_max", "percentile", "mse", "entropy"]
_RANGES = {"percentile": ranges.percentile, "mse": ranges.mse, "entropy": ranges.entropy}


def calibrate(
    graph: fx.GraphModule,
    groups: Sequence[Sequence[fx.Node]],
    data: Tensor,
    method: Method,
) -> list[Range]:
    """The range of each group of values over all of `data`.

    Args:
        graph: float graph.
        groups: nodes of `graph`; those of one group share a range.
        data: (n, ...) float32, n >= 1.
        method: see `StaticInt8.calibration`.

    Returns:
        (low, high) per group, finite, low <= high.

    Raises:
        ModelError: an operator produces NaN on the data, or infinity where a range is needed; or the graph cannot
            run on it.
    """
    index = {node: number for number, group in enumerate(groups) for node in group}
    limits: list[Range] = [(math.inf, -math.inf)] * len(groups)

    def widen(node: fx.Node, value: Tensor) -> None:
        if node not in index:
            _refuse_if(node, bool(value.isnan().any()))  # -inf may be a mask, and is gone after a softmax
            return
        low, high = (float(x) for x in torch.aminmax(value))
        _refuse_if(node, not (math.isfinite(low) and math.isfinite(high)))
        old = limits[index[node]]
        limits[index[node]] = (min(low, old[0]), max(high, old[1]))

    watch(graph, _real_values(graph), data, widen)
    if method == "min_max":
        return limits

    histograms = [torch.zeros(_BINS, dtype=torch.float64) for _ in groups]

    def count(node: fx.Node, value: Tensor) -> None:
        low, high = limits[index[node]]
        histograms[index[node]] += torch.histc(value.float(), _BINS, low, high)

    watch(graph, index, data, count)
    narrow = _RANGES[method]
    return [narrow(counts, each) for counts, each in zip(histograms, limits, strict=True)]


def _real_values(graph: fx.GraphModule) -> set[fx.Node]:
    """Everything that is computed: what is left in float can be where NaN begins."""
    computed = (node for node in graph.graph.nodes if node.op in ("placeholder", "call_function"))
    values = ((node, node.meta.get("val")) for node in computed)
    return {node for node, value in values if isinstance(value, Tensor) and value.is_floating_point()}


def _refuse_if(node: fx.Node, bad: bool) -> None:
    if bad:
        raise ModelError(
            f"{module_path(node)} produces NaN or infinity on the calibration set; expected finite activations; "
            "check the model's weights and the scale of its inputs"
        )


def watch(
    graph: fx.GraphModule, watched: Container[fx.Node], data: Tensor, look: Callable[[fx.Node, Tensor], None]
) -> None:
    """Run the graph over `data` in batches and show `look` every value of a watched node."""

    class Observer(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            if n in watched:
                look(n, cast(Tensor, value))
            return value

    observer = Observer(graph)
    observer.extra_traceback = False
    with torch.no_grad():
        for batch in torch.split(data, BATCH_SIZE):
            try:
                observer.run(batch)
            except FORWARD_ERRORS as error:
                raise ModelError(
                    f"the model cannot run on the calibration set, {tuple(batch.shape)}: {first_line(error)}; "
                    "expected images like the example; check the task's input"
                ) from error
