"""Latency on a real target and exact counts on an emulated one, as measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compress.measure.comparison import Reference
from compress.measure.rounds import ratio_of_medians, summarize_latency
from compress.types import Json, Measurement


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """What a latency is compared with.

    reference: whose latency it is.
    samples_ns: (rounds, inferences), or the means of the rounds (rounds, 1); from the same rounds.
    """

    reference: Reference
    samples_ns: ArrayLike


def latency(
    artifact: str,
    samples_ns: ArrayLike,
    *,
    runtime: str,
    target: str,
    details: Mapping[str, Json],
    baseline: Baseline | None = None,
) -> Measurement:
    """The median of single inferences, with p50, p90, p99 and the raw samples in milliseconds, round after round.

    Args:
        artifact: sha256.
        samples_ns: (rounds, inferences) durations after warm-up, in nanoseconds; (inferences,) is one round.
        runtime: name and version.
        target: a real machine; emulated wall time is no latency.
        details: threads, warm-up, machine facts.
        baseline: gives `details["speedup"]`: how many times as fast as it the artifact is, with a 95 % interval.
    """
    samples = np.atleast_2d(np.asarray(samples_ns)) / 1e6
    summary = summarize_latency(samples)
    found: dict[str, Json] = {"p50": summary.p50, "p90": summary.p90, "p99": summary.p99, "rounds": summary.rounds}
    if baseline is not None:
        found["speedup"] = _speed_up(baseline, samples)
    return Measurement(
        metric="latency_ms",
        unit="ms",
        value=summary.p50,
        n=summary.n,
        artifact=artifact,
        runtime=runtime,
        target=target,
        how="native",
        samples=tuple(float(ms) for ms in samples.ravel()),
        interval=summary.median_interval,
        details={**found, **details},
    )


def tool_latency(
    artifact: str,
    means_ns: ArrayLike,
    inferences: Sequence[int],
    *,
    runtime: str,
    target: str,
    details: Mapping[str, Json],
    baseline: Baseline | None = None,
) -> Measurement:
    """The mean of single inferences that a tool timed without telling each: there is no median and no sample.

    Args:
        artifact: sha256.
        means_ns: (rounds,) mean duration in each round, in nanoseconds.
        inferences: (rounds,) how many a round had.
        runtime: name and version.
        target: a real machine.
        details: threads, warm-up, machine facts, and whatever else the tool told.
        baseline: as for `latency`, of the means of its rounds.
    """
    rounds = np.reshape(np.asarray(means_ns), (-1, 1)) / 1e6
    mean = float(np.average(rounds[:, 0], weights=inferences))
    found: dict[str, Json] = {"statistic": "mean", "rounds": len(rounds), "round_means_ms": rounds[:, 0].tolist()}
    interval = summarize_latency(rounds).median_interval
    if interval is not None:  # that of the rounds' geometric mean
        interval = min(interval[0], mean), max(interval[1], mean)
    if baseline is not None:
        found["speedup"] = _speed_up(baseline, rounds)
    return Measurement(
        metric="latency_ms",
        unit="ms",
        value=mean,
        n=sum(inferences),
        artifact=artifact,
        runtime=runtime,
        target=target,
        how="native",
        interval=interval,
        details={**found, **details},
    )


def _speed_up(baseline: Baseline, samples_ms: NDArray[np.float64]) -> Json:
    ratio = ratio_of_medians(np.atleast_2d(np.asarray(baseline.samples_ns)) / 1e6, samples_ms)
    return {
        "value": ratio.value,
        "interval": list(ratio.interval) if ratio.interval else None,
        "reference": baseline.reference.sha256,
        **baseline.reference.details(),
    }


def counts(
    artifact: str,
    *,
    instructions: int,
    executed_macs: int,
    by_class: Mapping[str, int],
    repeats: Sequence[int],
    runtime: str,
    target: str,
) -> tuple[Measurement, Measurement]:
    """Instructions and executed multiply-accumulates of one steady-state inference.

    Args:
        artifact: sha256.
        instructions: the fewest over the repeats.
        executed_macs: multiply-accumulates, from the opcodes.
        by_class: instruction class -> count.
        repeats: instructions of each counted inference.
        runtime: name and version.
        target: the emulated core.
    """

    def measurement(metric: str, value: int, details: Mapping[str, Json]) -> Measurement:
        return Measurement(
            metric=metric,
            unit="count",
            value=float(value),
            n=len(repeats),
            artifact=artifact,
            runtime=runtime,
            target=target,
            how="emulated",
            details=details,
        )

    return (
        measurement("instructions", instructions, {"by_class": dict(by_class), "repeats": list(repeats)}),
        measurement("executed_macs", executed_macs, {}),
    )
