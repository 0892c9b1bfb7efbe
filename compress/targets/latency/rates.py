"""What was fitted on published latencies, on which of them, and how far off it is where rows were left out.

rates.yaml is written by benchmarks/latency/validate.py; no rate is a phone's or a core's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

RATES_FILE = Path(__file__).with_name("rates.yaml")
CONFIDENCE = 0.9
"""Share of predictions whose interval holds the true figure, where published rows can tell."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What is fitted.

    line_cycles: that a core waits for a line of its second cache, where it does not hide that.
    memory_slowdown: times longer than at the memory's peak bandwidth, of one core.
    operator_cycles: to start an operator.
    widening_slowdown: times longer than scheduled, of blocks of widening multiplies on cores out of order; why, is not
        known (docs/latency.md).
    """

    line_cycles: float
    memory_slowdown: float
    operator_cycles: float
    widening_slowdown: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the rows of one kind of core have: classes of blocks; the fewest and the most threads."""

    classes: tuple[str, ...]
    threads: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far off predictions are, as factors to either side.

    near: that hold CONFIDENCE of figures, of networks that were left out.
    far: for what is like no row. Two errors multiplied; no row tests it.
    ratio: as near, of the ratio of two files on one phone.
    """

    near: float
    far: float
    ratio: float


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Rates, what they were fitted on, and how far off they are.

    seen: by kind of core.
    runtimes: that some row has.
    cycles: the least and the most of any row.
    one_thread, several_threads: rows of several threads are off by more.
    """

    rates: Rates
    seen: Mapping[str, Seen]
    runtimes: tuple[str, ...]
    cycles: tuple[float, float]
    one_thread: Spread
    several_threads: Spread

    def spread(self, threads: int) -> Spread:
        """Of predictions for so many threads."""
        return self.one_thread if threads == 1 else self.several_threads


@cache
def load_rates() -> Fitted:
    """Those that ship."""
    content = yaml.safe_load(RATES_FILE.read_text(encoding="utf-8"))
    seen = content["fitted_on"]["cores"]
    return Fitted(
        rates=Rates(**{field.name: content["rates"][field.name]["value"] for field in dataclasses.fields(Rates)}),
        seen={core: Seen(**{key: tuple(value) for key, value in each.items()}) for core, each in seen.items()},
        runtimes=tuple(content["fitted_on"]["runtimes"]),
        cycles=tuple(content["fitted_on"]["cycles"]),
        **{threads: Spread(**factors) for threads, factors in content["spreads"].items()},
    )
