"""The release gate: budgets against measurements.

Everything here fails closed:
- what was not measured, or cannot be compared, is MISSING, and MISSING blocks like FAIL;
- of several measurements that a budget means, the worst is judged;
- a ratio is only taken between figures of the same format, runtime and target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

from compress.errors import EXIT_GATE_FAILED, EXIT_PASS, NoVerdictError, RecipeError
from compress.gate.figures import Unjudgeable, find_figures
from compress.gate.wording import sentence
from compress.types import Artifact, Budget, Measurement, Verdict

__all__ = ["exit_code", "judge"]

_ROUNDING = 1e-12
"""Relative slack for the last bits of a quotient or a difference; a limit that is met exactly is kept."""


def judge(
    budgets: Sequence[Budget], artifacts: Sequence[Artifact], measurements: Sequence[Measurement]
) -> tuple[Verdict, ...]:
    """Hold every budget against every artifact that it names.

    Args:
        budgets: from the recipe.
        artifacts: of the run.
        measurements: of these artifacts.

    Returns:
        In the order of the budgets, then of the artifacts; at least one verdict for each budget.

    Raises:
        RecipeError: a budget without a usable limit.
    """
    verdicts: list[Verdict] = []
    for budget in budgets:
        limit = _limit(budget)
        matches = [artifact for artifact in artifacts if fnmatchcase(artifact.name, budget.artifact)]
        verdicts.extend(_judge_one(budget, limit, artifact, artifacts, measurements) for artifact in matches)
        if not matches:
            made = ", ".join(artifact.name for artifact in artifacts) or "none"
            reason = f"no artifact is called {budget.artifact}; this run made: {made}"
            verdicts.append(_missing(budget, limit, budget.artifact, reason))
    return tuple(verdicts)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 if every verdict is PASS, 1 otherwise.

    Raises:
        NoVerdictError: there is no verdict (exit code 5): an empty gate must not look like an open one.
    """
    if not verdicts:
        raise NoVerdictError(
            "nothing to judge: the recipe sets no budgets; expected at least one; add one under `budgets:`,"
            " such as {metric: accuracy_drop, artifact: 'student-*', at_most: 0.02}"
        )
    return EXIT_PASS if all(verdict.status == "PASS" for verdict in verdicts) else EXIT_GATE_FAILED


def _limit(budget: Budget) -> float:
    limits = [limit for limit in (budget.at_most, budget.at_least) if limit is not None]
    if len(limits) != 1 or not math.isfinite(limits[0]):
        raise RecipeError(
            f"{budget.line or 'budgets'}: the budget on {budget.metric} of {budget.artifact} has"
            f" at_most={budget.at_most} and at_least={budget.at_least}; expected one finite limit;"
            " set exactly one of the two"
        )
    return float(limits[0])


def _judge_one(
    budget: Budget,
    limit: float,
    artifact: Artifact,
    artifacts: Sequence[Artifact],
    measurements: Sequence[Measurement],
) -> Verdict:
    try:
        figures = find_figures(budget, artifact, artifacts, measurements)
    except Unjudgeable as why:
        return _missing(budget, limit, artifact.name, str(why))
    worst = max if budget.at_most is not None else min
    figure = worst(figures, key=lambda candidate: candidate.judged)
    over = figure.judged - limit if budget.at_most is not None else limit - figure.judged
    kept = over <= _ROUNDING * max(abs(figure.judged), abs(limit))
    return Verdict(
        budget=budget,
        status="PASS" if kept else "FAIL",
        artifact=artifact.name,
        value=figure.judged,
        limit=limit,
        excess=0.0 if kept else over,
        reason=f"{artifact.name}: {sentence(budget, limit, figure, 0.0 if kept else over)}",
    )


def _missing(budget: Budget, limit: float, artifact: str, reason: str) -> Verdict:
    return Verdict(
        budget=budget,
        status="MISSING",
        artifact=artifact,
        value=None,
        limit=limit,
        excess=None,
        reason=f"{artifact}: {reason}",
    )
