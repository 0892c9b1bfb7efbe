"""From the work of an inference to milliseconds on a phone, with an interval.

    t = cycles / clocks + lines from the second cache * their cycles / clocks + bytes from memory / bandwidth
        + operators * their cycles / clock

- Cycles are counted, not fitted: an emulated core's blocks, scheduled on its pipeline with all data in the first cache.
  They are shared out between the threads, so that a faster core takes more of them, as XNNPACK's pool of threads does.
- Lines from the second cache cost a core that starts its instructions in order, and one that shares that cache with
  others (some 20 cycles away). An out-of-order core with a second cache of its own (some 9 cycles) hides them.
- Lines from memory cost what the memory's peak bandwidth says, times one factor. Cores with second caches of their own
  wait for theirs at the same time, until the memory is at its peak. Those of a cluster with one second cache wait
  behind one port: on a Pixel 2 four threads leave the wait for memory as long as it was.
- Operators run one after the other, and each starts with cold code, weights and branches.
- Waits add up: little of them overlaps with arithmetic, or the sum would not fit as it does (docs/latency.md).

Four rates, in rates.yaml, are fitted by benchmarks/latency/validate.py; none is a phone's or a core's own.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from compress.targets.cores import CORES
from compress.targets.latency.calibration import Calibration
from compress.targets.latency.pipelines import PIPELINES
from compress.targets.latency.placement import Placement
from compress.targets.latency.work import WIDENING, Work
from compress.types import Json

RATES_FILE = Path(__file__).with_name("rates.yaml")
LINE_BYTES = 64
CONFIDENCE = 0.9
"""Share of predictions whose interval holds the true figure."""
MUCH = 2
"""Times smaller or larger than every network that was fitted, and a network is like none of them."""
CALIBRATED_RUNTIME = "litert"
"""Whose kernels a calibration times: another's are off by another factor."""
TYPICAL_GB_PER_S = 14.9
"""Where a memory's bandwidth is unknown: two channels of LPDDR4X at 1866 MHz, as chips of the middle class have."""


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
class Fitted:
    """Rates, what they were fitted on, and how far off they were where rows were left out.

    cores, classes, runtimes: that some row has; threads, cycles: the least and most of any row.
    spread: a figure lies within this factor of its prediction, for a network that was left out, nine times of ten.
    far_spread: the same for what is like no row: no row says how far off, so that two such errors are multiplied.
    ratio_spread: the same for the ratio of two files on one phone.
    """

    rates: Rates
    cores: tuple[str, ...]
    classes: tuple[str, ...]
    runtimes: tuple[str, ...]
    threads: tuple[int, int]
    cycles: tuple[float, float]
    spread: float
    far_spread: float
    ratio_spread: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Milliseconds of one inference.

    low, high: the true figure lies between them in CONFIDENCE of all cases.
    parts: milliseconds by what they go to: the classes of blocks, `caches`, `memory`, `operators`.
    warnings: why it is an extrapolation, a few words each; the interval is then the wider one.
    calibration: of the device, where it was used; milliseconds and parts are multiplied by its factor.
    """

    ms: float
    low: float
    high: float
    parts: Mapping[str, float]
    warnings: tuple[str, ...]
    calibration: Calibration | None = None


@cache
def load_rates() -> Fitted:
    """Those that ship."""
    content = yaml.safe_load(RATES_FILE.read_text(encoding="utf-8"))
    rates = Rates(**{field.name: content["rates"][field.name]["value"] for field in dataclasses.fields(Rates)})
    fitted_on: dict[str, Json] = {key: tuple(value) for key, value in content["fitted_on"].items()}
    return Fitted(rates=rates, **fitted_on, **content["spreads"])


def predict(
    work: Work,
    placement: Placement,
    runtime: str,
    fitted: Fitted | None = None,
    calibration: Calibration | None = None,
) -> Prediction:
    """How long one inference takes.

    Args:
        work: of the file on such a core.
        placement: where its threads run.
        runtime: name and version, as sessions tell it.
        fitted: those that ship, unless a validation fits its own.
        calibration: of the device, for as many threads; used for the runtime and the model that it was made with.
    """
    fitted = fitted or load_rates()
    parts = break_down(work, placement, fitted.rates)
    stale = calibration is not None and calibration.model != identify(placement, fitted.rates)
    if calibration is None or stale or runtime.split()[0] != CALIBRATED_RUNTIME:
        calibration = None
    else:
        parts = {name: ms * calibration.factor for name, ms in parts.items()}
        fitted = _extend(fitted, calibration, placement)
    warnings = tuple(_find_extrapolations(work, placement, runtime, fitted, calibration))
    if stale:
        warnings += ("its calibration was made with another model or description of the device; calibrate again",)
    ms, spread = sum(parts.values()), fitted.far_spread if warnings else fitted.spread
    # A network that stays in the caches may start its operators for nothing: no row is as small.
    least = ms if work.cycles * MUCH >= fitted.cycles[0] else ms - parts["operators"]
    return Prediction(
        ms=ms, low=least / spread, high=ms * spread, parts=parts, warnings=warnings, calibration=calibration
    )


def identify(placement: Placement, rates: Rates) -> str:
    """Twelve digits of all that decides a prediction beside the work: the model of one device."""
    core = CORES[placement.core]
    caches = (core.l1d_kib, core.l2_kib, core.l2_shared, core.l3_kib, core.system_kib)
    return hashlib.sha256(repr((rates, PIPELINES[placement.core], caches, placement)).encode()).hexdigest()[:12]


def _extend(fitted: Fitted, calibration: Calibration, placement: Placement) -> Fitted:
    """What was fitted and what was then measured on the device itself; beyond both, the wider spread."""
    return dataclasses.replace(
        fitted,
        cores=(*fitted.cores, placement.core),
        classes=(*fitted.classes, *calibration.classes),
        threads=(fitted.threads[0], max(fitted.threads[1], calibration.threads)),
        cycles=(min(fitted.cycles[0], calibration.cycles[0]), max(fitted.cycles[1], calibration.cycles[1])),
        spread=calibration.spread,
        far_spread=max(fitted.far_spread, calibration.spread),
    )


def break_down(work: Work, placement: Placement, rates: Rates) -> dict[str, float]:
    """Milliseconds by what they go to; see the module's first lines."""
    core, pipeline = CORES[placement.core], PIPELINES[placement.core]
    in_order = pipeline.window == 0
    shared = sum(placement.ghz) * 1e6  # cycles of all threads in a millisecond
    parts = {name: cycles / shared for name, cycles in work.by_class.items()}
    if WIDENING in parts and not in_order:
        parts[WIDENING] *= rates.widening_slowdown
    parts["caches"] = work.lines[0] * rates.line_cycles / shared if in_order or core.l2_shared else 0.0
    at_peak = work.lines[-1] * LINE_BYTES / ((placement.gb_per_s or TYPICAL_GB_PER_S) * 1e6)
    at_once = 1 if core.l2_shared else len(placement.ghz)  # threads that wait for memory
    parts["memory"] = at_peak * max(rates.memory_slowdown / at_once, 1.0)
    parts["operators"] = work.operators * rates.operator_cycles / (placement.ghz[0] * 1e6)
    return parts


def _find_extrapolations(
    work: Work, placement: Placement, runtime: str, fitted: Fitted, calibration: Calibration | None
) -> Iterator[str]:
    if placement.core not in fitted.cores:
        yield f"no published figure of {placement.core} was fitted"
    if runtime.split()[0] not in fitted.runtimes:
        yield f"no published figure of {runtime.split()[0]} was fitted"
    if strange := [name for name in work.by_class if name not in fitted.classes]:
        yield f"no published figure with {', '.join(strange)} was fitted"
    if len(placement.ghz) > fitted.threads[1]:
        yield f"at most {fitted.threads[1]} threads were fitted"
    least, most = fitted.cycles
    if not least / MUCH <= work.cycles <= most * MUCH:
        yield f"{work.cycles / 1e6:.3g} million cycles; {least / 1e6:.3g} to {most / 1e6:.3g} million were fitted"
    if placement.gb_per_s is None and calibration is None:
        yield f"the memory's bandwidth is unknown; taken as {TYPICAL_GB_PER_S} GB/s"
