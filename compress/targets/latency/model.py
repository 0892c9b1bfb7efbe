"""From the work of an inference to milliseconds on a phone, with an interval.

    t = cycles / clocks + lines from the second cache * their cycles / clocks + bytes from memory / bandwidth
        + operators * their cycles / clock

- Cycles are counted, not fitted: an emulated core's blocks, scheduled on its pipeline with all data in the first cache.
  They are shared out between the threads, so that a faster core takes more of them, as XNNPACK's pool of threads does.
- Lines from the second cache cost a core that starts its instructions in order, and one that shares that cache with
  others (some 20 cycles away). An out-of-order core with a second cache of its own (some 9 cycles) hides them.
- Lines from memory cost what the memory's peak bandwidth says, times one factor. Cores with second caches of their own
  wait for theirs at the same time, until the memory is at its peak. Those of a cluster with one second cache wait
  behind one port: on a Pixel 2 four threads leave the wait for a line as long as it was.
- Operators run one after the other, and each starts with cold code, weights and branches.
- Waits add up: little of them overlaps with arithmetic, or the sum would not fit as it does (docs/latency.md).

The four rates are in rates.yaml; `compress.targets.latency.rates` says what each is.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from compress.targets.cores import CORES
from compress.targets.latency.calibration import Calibration
from compress.targets.latency.pipelines import PIPELINES
from compress.targets.latency.placement import Placement
from compress.targets.latency.rates import CONFIDENCE, Fitted, Rates, Seen, Spread, load_rates
from compress.targets.latency.work import WIDENING, Work

LINE_BYTES = 64
MUCH = 2
"""Times smaller or larger than every network that was fitted, and a network is like none of them."""
CALIBRATED_RUNTIME = "litert"
"""Whose kernels a calibration times: another's are off by another factor."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Milliseconds of one inference.

    low, high: the true figure lies between them in `confidence` of all cases; None: nothing published tells in how
        many.
    parts: milliseconds by what they go to: the classes of blocks, `caches`, `memory`, `operators`.
    cases_ms: what it would be if operators cost as much as was fitted, or nothing where that is not known, before the
        slowest and the fastest memory that the device may have; of every file in the same order.
    ratio_spread: a ratio to another file's lies within this factor of that of their cases.
    warnings: why it is an extrapolation, a few words each; the interval is then the wider one.
    calibration: of the device, where it was used; all milliseconds are multiplied by its factor.
    """

    ms: float
    low: float
    high: float
    confidence: float | None
    parts: Mapping[str, float]
    cases_ms: tuple[float, ...]
    ratio_spread: float
    warnings: tuple[str, ...]
    calibration: Calibration | None = None


def predict(
    work: Work,
    placement: Placement,
    runtime: str,
    fitted: Fitted | None = None,
    calibration: Calibration | None = None,
) -> Prediction:
    """How long one inference takes.

    Args:
        work: of the file on such a core, for as many threads.
        placement: where its threads run.
        runtime: name and version, as sessions tell it.
        fitted: those that ship, unless a validation fits its own.
        calibration: of the device, for as many threads; used for the runtime and the model that it was made with.
    """
    fitted = fitted or load_rates()
    stale = calibration is not None and calibration.model != identify(placement, fitted.rates)
    if calibration is not None and not stale and runtime.split()[0] == CALIBRATED_RUNTIME:
        factor, fitted = calibration.factor, _extend(fitted, calibration, placement)
        placement = dataclasses.replace(placement, gb_per_s_range=None)  # the factor is that of its own memory
    else:
        factor, calibration = 1.0, None
    parts = {name: ms * factor for name, ms in break_down(work, placement, fitted.rates).items()}
    cases = tuple(ms * factor for ms in _list_cases(work, placement, fitted))
    warnings = tuple(_find_extrapolations(work, placement, runtime, fitted))
    if stale:
        warnings += ("its calibration was made with another model or description of the device; calibrate again",)
    spread = fitted.spread(len(placement.ghz))
    factor_to_either_side = spread.far if warnings else spread.near
    return Prediction(
        ms=sum(parts.values()),
        low=min(cases) / factor_to_either_side,
        high=max(cases) * factor_to_either_side,
        confidence=None if warnings else CONFIDENCE,
        parts=parts,
        cases_ms=cases,
        ratio_spread=spread.ratio ** (2 if warnings else 1),
        warnings=warnings,
        calibration=calibration,
    )


def identify(placement: Placement, rates: Rates) -> str:
    """Twelve digits of all that decides a prediction beside the work: the model of one device."""
    core = CORES[placement.core]
    caches = (core.l1d_kib, core.l2_kib, core.l2_shared)
    return hashlib.sha256(repr((rates, PIPELINES[placement.core], caches, placement)).encode()).hexdigest()[:12]


def _extend(fitted: Fitted, calibration: Calibration, placement: Placement) -> Fitted:
    """What was fitted and what was then measured on the device itself; beyond both, the wider spread."""
    threads = calibration.threads
    known = fitted.seen.get(placement.core, Seen(classes=(), threads=(threads, threads)))
    seen = Seen(
        classes=(*known.classes, *calibration.classes),
        threads=(min(known.threads[0], threads), max(known.threads[1], threads)),
    )
    theirs = fitted.spread(threads)
    spread = Spread(near=calibration.spread, far=max(theirs.far, calibration.spread), ratio=theirs.ratio)
    return dataclasses.replace(
        fitted,
        seen={**fitted.seen, placement.core: seen},
        cycles=(min(fitted.cycles[0], calibration.cycles[0]), max(fitted.cycles[1], calibration.cycles[1])),
        one_thread=spread,
        several_threads=spread,
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
    at_peak = work.lines[-1] * LINE_BYTES / (placement.gb_per_s * 1e6)
    at_once = 1 if core.l2_shared else len(placement.ghz)  # threads that wait for memory
    parts["memory"] = at_peak * max(rates.memory_slowdown / at_once, 1.0)
    parts["operators"] = work.operators * rates.operator_cycles / (placement.ghz[0] * 1e6)
    return parts


def _list_cases(work: Work, placement: Placement, fitted: Fitted) -> Iterator[float]:
    """A network that stays in the caches may start its operators for nothing: no row is as small."""
    small = work.cycles * MUCH < fitted.cycles[0]
    for gb_per_s in placement.gb_per_s_range or (placement.gb_per_s,) * 2:
        parts = break_down(work, dataclasses.replace(placement, gb_per_s=gb_per_s), fitted.rates)
        ms = sum(parts.values())
        yield ms
        yield ms - parts["operators"] if small else ms


def _find_extrapolations(work: Work, placement: Placement, runtime: str, fitted: Fitted) -> Iterator[str]:
    core, threads = placement.core, len(placement.ghz)
    if runtime.split()[0] not in fitted.runtimes:
        yield f"no published figure of {runtime.split()[0]} was fitted"
    seen = fitted.seen.get(core)
    if seen is None:
        yield f"no published figure of {core} was fitted"
    elif not seen.threads[0] <= threads <= seen.threads[1]:
        most_threads = seen.threads[1]
        yield f"{core} was fitted with at most {most_threads} thread{'s' if most_threads > 1 else ''}"
    known = seen.classes if seen else {name for each in fitted.seen.values() for name in each.classes}
    if strange := [name for name in work.by_class if name not in known]:
        yield f"no published figure with {', '.join(strange)}{f' on {core}' if seen else ''} was fitted"
    millions, least, most = (cycles / 1e6 for cycles in (work.cycles, *fitted.cycles))
    if not least / MUCH <= millions <= most * MUCH:
        yield f"{millions:.3g} million cycles; {least:.3g} to {most:.3g} million were fitted"
    if placement.gb_per_s_range is not None:
        low, high = placement.gb_per_s_range
        yield f"the memory's bandwidth is unknown; the interval holds for {low:g} to {high:g} GB/s"
