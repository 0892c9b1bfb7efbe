"""What the files of a scheme must keep to be chosen, and in words which of it they break, or nobody could judge."""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase

from compress.recipe import QuantizeConfig, Recipe, artifact_name
from compress.stages.choice import Broken
from compress.types import METRICS, Budget, Verdict
from compress.units import decimals, exact


def read_limits(recipe: Recipe, entry: QuantizeConfig) -> tuple[Budget, ...]:
    """The recipe's budgets on the entry's files, and the entry's own."""
    names = [artifact_name("student", entry.scheme, each) for each in recipe.formats]
    limits = [
        dataclasses.replace(budget, line=None)
        for budget in recipe.budgets
        if any(fnmatchcase(name, budget.artifact) for name in names)
    ]
    if entry.accuracy_drop is not None:
        limits += [Budget(metric="accuracy_drop", artifact=name, at_most=entry.accuracy_drop) for name in names]
    return tuple(limits)


def describe_broken(verdict: Verdict) -> Broken:
    """`accuracy_drop 0.0312 of student-auto.onnx is above 0.0050`."""
    assert verdict.value is not None
    assert verdict.excess is not None
    budget = verdict.budget
    unit = "ratio" if budget.relative_to is not None else METRICS[budget.metric]
    digits = decimals(unit, verdict.value - verdict.limit, verdict.limit)
    value, limit = (exact(number, unit, digits) for number in (verdict.value, verdict.limit))
    side = "above" if budget.at_most is not None else "below"
    return Broken(
        metric=budget.metric,
        words=f"{budget.metric} {value} of {verdict.artifact}{_where(budget)} is {side} {limit}",
        excess=verdict.excess / (abs(verdict.limit) or 1),
    )


def name_limit(budget: Budget) -> str:
    """`latency_ms on pi4`."""
    return f"{budget.metric}{_where(budget)}"


def _where(budget: Budget) -> str:
    where = f" on {budget.target}" if budget.target else ""
    return where + (f" relative to {budget.relative_to}" if budget.relative_to else "")
