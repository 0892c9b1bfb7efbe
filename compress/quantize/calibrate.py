"""Ranges of activations, observed while the float graph runs on the calibration set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, fx

from compress.errors import ModelError
from compress.quantize.capture import FORWARD_ERRORS, module_path
from compress.quantize.refusals import first_line

BATCH_SIZE = 64
KEPT = 0.9999  # `percentile`: the share of values that must stay inside the range, on either side
_BINS = 4096
Range = tuple[float, float]


def calibrate(
    graph: fx.GraphModule,
    groups: Sequence[Sequence[fx.Node]],
    data: Tensor,
    method: Literal["min_max", "percentile"],
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
        ModelError: an operator produces NaN or infinity on the data, or the graph cannot run on it.
    """
    index = {node: number for number, group in enumerate(groups) for node in group}
    ranges: list[Range] = [(math.inf, -math.inf)] * len(groups)

    def widen(node: fx.Node, value: Tensor) -> None:
        low, high = (float(x) for x in torch.aminmax(value))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ModelError(
                f"{module_path(node)} produces NaN or infinity on the calibration set; expected finite activations; "
                "check the model's weights and the scale of its inputs"
            )
        old = ranges[index[node]]
        ranges[index[node]] = (min(low, old[0]), max(high, old[1]))

    _watch(graph, index, data, widen)
    if method == "min_max":
        return ranges

    histograms = [torch.zeros(_BINS, dtype=torch.float64) for _ in groups]

    def count(node: fx.Node, value: Tensor) -> None:
        low, high = ranges[index[node]]
        histograms[index[node]] += torch.histc(value.float(), _BINS, low, high)

    _watch(graph, index, data, count)
    return [_percentiles(counts, limits) for counts, limits in zip(histograms, ranges, strict=True)]


def _percentiles(counts: Tensor, limits: Range) -> Range:
    """Cut the tails off a histogram: the outer edges of the first and last bin that KEPT of the values reach."""
    low, high = limits
    width = (high - low) / len(counts)
    spared = (1.0 - KEPT) * float(counts.sum())
    first = int((counts.cumsum(0) <= spared).sum())
    last = int((counts.flip(0).cumsum(0) <= spared).sum())
    return low + first * width, high - last * width


def _watch(
    graph: fx.GraphModule, watched: dict[fx.Node, int], data: Tensor, look: Callable[[fx.Node, Tensor], None]
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
