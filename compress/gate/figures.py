"""Which numbers a budget means: the measurements it names, and their ratios to a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from compress.targets.latency.ratio import bound_ratio
from compress.types import Artifact, Budget, Measurement

_EXACT_METRICS = frozenset({"instructions", "executed_macs"})
"""Counts that repeat from run to run, and so need no interval (ONNX Runtime's vary by less than 0.1 %)."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number that a budget can be judged by."""

    judged: float
    estimate: float
    measurement: Measurement
    reference: tuple[Artifact, Measurement] | None


class Unjudgeable(Exception):
    """Why an artifact has no figure to judge; becomes the reason of a MISSING verdict."""


def find_figures(
    budget: Budget, artifact: Artifact, artifacts: Sequence[Artifact], measurements: Sequence[Measurement]
) -> list[Figure]:
    """Every figure of the artifact that the budget means; at least one.

    Raises:
        Unjudgeable: nothing measured, or one of the figures cannot be judged.
    """
    meant = _meant(budget, artifact, measurements)
    figures: list[Figure] = []
    for measurement in meant:
        if budget.relative_to is None:
            figures.append(
                Figure(
                    judged=_unfavourable(budget, measurement),
                    estimate=measurement.value,
                    measurement=measurement,
                    reference=None,
                )
            )
            continue
        reference = _reference(budget, budget.relative_to, artifact, artifacts)
        figures.extend(
            _ratio(budget, measurement, reference, base)
            for base in _counterparts(budget, measurement, reference, measurements)
        )
    unusable = [figure for figure in figures if not math.isfinite(figure.judged)]
    if unusable:
        raise Unjudgeable(f"{budget.metric} is {unusable[0].judged}, which is no figure to judge")
    return figures


def _meant(budget: Budget, artifact: Artifact, measurements: Sequence[Measurement]) -> list[Measurement]:
    of_metric = [m for m in measurements if m.artifact == artifact.sha256 and m.metric == budget.metric]
    meant = [m for m in of_metric if _on_target(budget, m) and fnmatchcase(m.runtime, budget.runtime or "*")]
    if not meant:
        seen = sorted({f"{m.target} ({m.runtime})" for m in of_metric})
        where = budget.target or "host"
        runtime = f" under {budget.runtime}" if budget.runtime else ""
        found = f"it was measured on {', '.join(seen)}" if seen else "it was measured nowhere in this run"
        raise Unjudgeable(f"no measurement of {budget.metric} on {where}{runtime}: {found}")
    return meant


def _on_target(budget: Budget, measurement: Measurement) -> bool:
    if budget.target is None:
        return measurement.target == "host" or measurement.how == "static"
    return measurement.target == budget.target


def _reference(budget: Budget, pattern: str, artifact: Artifact, artifacts: Sequence[Artifact]) -> Artifact:
    found = [a for a in artifacts if a.format == artifact.format and fnmatchcase(a.name, pattern)]
    if not found:
        raise Unjudgeable(f"no {artifact.format} artifact is called {pattern}, so {budget.metric} has no reference")
    if len(found) > 1:
        names = ", ".join(a.name for a in found)
        raise Unjudgeable(f"relative_to {pattern} names {len(found)} {artifact.format} artifacts ({names}), not one")
    return found[0]


def _counterparts(
    budget: Budget, measurement: Measurement, reference: Artifact, measurements: Sequence[Measurement]
) -> list[Measurement]:
    """The reference's measurements that differ from `measurement` in the artifact alone; at least one."""

    def circumstances(m: Measurement) -> tuple[str | None, ...]:
        return m.metric, m.runtime, m.target, m.how, m.split, m.details.get("against")

    found = [
        m for m in measurements if m.artifact == reference.sha256 and circumstances(m) == circumstances(measurement)
    ]
    if not found:
        raise Unjudgeable(
            f"no measurement of {budget.metric} on {measurement.target} under {measurement.runtime}"
            f" for the reference {reference.name}"
        )
    return found


def _ratio(budget: Budget, measurement: Measurement, reference: Artifact, base: Measurement) -> Figure:
    """Value over reference; under `interval` the most unfavourable quotient of the two intervals' ends.

    Stricter than an interval of the ratio: both terms would have to be off in the bad direction at once. Of two
    predictions for one phone it is known how far off their ratio may be.
    """
    ends = [_ends(budget, m) for m in (measurement, base)]
    if min(ends[1]) <= 0:
        raise Unjudgeable(f"{budget.metric} of the reference {reference.name} is {min(ends[1]):g}: no ratio to it")
    quotients = [above / below for above in ends[0] for below in ends[1]]
    if measurement.artifact == base.artifact:  # a student without a teacher is its own in float32
        quotients = [1.0]
    elif measurement.how == "predicted":
        quotients = list(bound_ratio(measurement, base))
    return Figure(
        judged=max(quotients) if budget.at_most is not None else min(quotients),
        estimate=measurement.value / base.value,
        measurement=measurement,
        reference=(reference, base),
    )


def _unfavourable(budget: Budget, measurement: Measurement) -> float:
    ends = _ends(budget, measurement)
    return max(ends) if budget.at_most is not None else min(ends)


def _ends(budget: Budget, measurement: Measurement) -> tuple[float, ...]:
    """What counts of a measurement: its value, or its value and the ends of its interval."""
    if budget.judge == "estimate" and measurement.how != "predicted":
        return (measurement.value,)
    if measurement.interval is not None:
        return (measurement.value, *measurement.interval)
    if measurement.how == "static" or measurement.metric in _EXACT_METRICS:
        return (measurement.value,)
    raise Unjudgeable(
        f"{budget.metric} on {measurement.target} ({measurement.runtime}) has no interval to judge;"
        " judge the estimate, or measure more samples (of a latency: more rounds)"
    )
