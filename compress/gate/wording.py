"""A verdict's reason: one sentence with the value, the limit, the excess and the evidence."""

from __future__ import annotations

from compress.gate.figures import Figure
from compress.types import Budget, Measurement
from compress.units import decimals, exact


def sentence(budget: Budget, limit: float, figure: Figure, excess: float) -> str:
    unit = figure.measurement.unit if figure.reference is None else "ratio"
    digits = decimals(unit, figure.judged - limit, limit, excess)
    subject = budget.metric
    if figure.reference is not None:
        subject += f" relative to {figure.reference[0].name}"
    value = exact(figure.judged, unit, digits)
    if figure.judged != figure.estimate:
        end = "high" if budget.at_most is not None else "low"
        value += f" ({end} end, estimate {exact(figure.estimate, unit, digits)})"
    return f"{subject} {value} {_comparison(budget, limit, excess, unit, digits)} ({_evidence(figure, digits)})"


def _comparison(budget: Budget, limit: float, excess: float, unit: str, digits: int) -> str:
    written = exact(limit, unit, digits)
    if not excess:
        return f"keeps the limit {written}"
    by = exact(excess, unit, digits)
    if budget.at_most is not None:
        return f"exceeds the limit {written} by {by}"
    return f"falls short of the limit {written} by {by}"


def _evidence(figure: Figure, digits: int) -> str:
    """What stands behind the figure: interval, n, runtime and target, or the two terms of a ratio."""
    measurement = figure.measurement
    parts: list[str] = []
    if figure.reference is not None:
        above, below = measurement, figure.reference[1]
        parts.append(f"{exact(above.value, above.unit)} against {exact(below.value, below.unit)}")
    elif measurement.interval is not None:
        low, high = (f"{end:,.{digits}f}" for end in measurement.interval)
        parts.append(f"{_name_interval(measurement)} {low} to {high}")
    if "compared_with" in measurement.details:
        identical = "identical, " if measurement.details.get("identical") else ""
        parts.insert(0, f"{identical}against {measurement.details['compared_with']}")
    if "why" in measurement.details:
        parts.insert(0, measurement.details["why"])
    if measurement.how == "predicted":
        parts += ["predicted", *measurement.details["warnings"], measurement.runtime]
    elif measurement.how != "static":
        parts += [f"n={measurement.n:,}", measurement.runtime]
    return ", ".join([*parts, measurement.target if measurement.how != "static" else "static"])


def _name_interval(measurement: Measurement) -> str:
    if measurement.how != "predicted":
        return "95 % interval"
    confidence = measurement.details["confidence"]
    return f"{100 * confidence:g} % interval" if confidence else "interval that nothing published tests:"
