"""Whether `scheme: auto` has something to choose by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from pydantic_core import InitErrorDetails

from compress.recipe.quantization import FileFormat, QuantizeConfig, artifact_name
from compress.strict_yaml.wording import refusal
from compress.types import Budget


def find_choice_faults(
    entries: Sequence[QuantizeConfig], formats: Sequence[FileFormat], budgets: Sequence[Budget]
) -> list[InitErrorDetails]:
    """Entries that leave the choice of a scheme to the run, where nothing says how accurate it must be."""
    faults = []
    for index, entry in enumerate(entries):
        names = [artifact_name("student", entry.scheme, each) for each in formats]
        if entry.chooses and entry.accuracy_drop is None and not any(limits_accuracy(b, names) for b in budgets):
            missing = (
                f"{entry.scheme} has nothing to choose by: no budget limits accuracy or accuracy_drop of {names[0]}"
            )
            message = f"{missing}; add one, or accuracy_drop here, such as 0.01"
            faults.append(InitErrorDetails(type=refusal(message), loc=("quantize", index), input=None))
    return faults


def limits_accuracy(budget: Budget, names: Collection[str]) -> bool:
    """Whether it says how accurate one of these files must be on the host, in units of accuracy."""
    limit = (budget.metric, "at_least" if budget.at_least is not None else "at_most")
    if limit not in (("accuracy", "at_least"), ("accuracy_drop", "at_most")) or budget.relative_to is not None:
        return False
    return budget.target in (None, "host") and any(fnmatchcase(name, budget.artifact) for name in names)
