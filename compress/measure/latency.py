"""Latency on a real target and exact counts on an emulated one, as measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compress.measure.statistics import summarize_latency
from compress.types import Json, Measurement


def latency(
    artifact: str, samples_ns: Sequence[int], *, runtime: str, target: str, details: Mapping[str, Json]
) -> Measurement:
    """The median of single inferences, with p50, p90, p99 and the raw samples in milliseconds.

    Args:
        artifact: sha256.
        samples_ns: durations of single inferences after warm-up, in nanoseconds.
        runtime: name and version.
        target: a real machine; emulated wall time is no latency.
        details: threads, warm-up, machine facts.
    """
    samples = tuple(ns / 1e6 for ns in samples_ns)
    summary = summarize_latency(samples)
    percentiles = {"p50": summary.p50, "p90": summary.p90, "p99": summary.p99}
    return Measurement(
        metric="latency_ms",
        unit="ms",
        value=summary.p50,
        n=summary.n,
        artifact=artifact,
        runtime=runtime,
        target=target,
        how="native",
        samples=samples,
        interval=summary.median_interval,
        details={**percentiles, **details},
    )


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
