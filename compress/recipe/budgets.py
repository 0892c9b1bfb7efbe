"""A budget as it stands in the recipe; budget_rules.py says which of them a run can judge."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationError, ValidatorFunctionWrapHandler, model_validator

from compress.recipe.budget_rules import Plan, find_faults, find_name_faults
from compress.recipe.rules import known_metric, one_of
from compress.strict_yaml import Part
from compress.strict_yaml.wording import all_errors
from compress.types import Budget, Json


class BudgetConfig(Part):
    """A limit, and what must keep it; compress.types.Budget says what each key means."""

    metric: Annotated[str, AfterValidator(known_metric)]
    artifact: str
    target: str | None = None
    runtime: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    relative_to: str | None = None
    judge: Literal["estimate", "interval"] = "estimate"

    @model_validator(mode="after")
    def _has_one_limit(self) -> BudgetConfig:
        one_of("at_most", self.at_most, "at_least", self.at_least)
        return self


def read_budget(written: Json, read: ValidatorFunctionWrapHandler, plan: Plan) -> BudgetConfig:
    """Read a budget and hold it against the rest of the recipe; a key that is wrong hides no other.

    Raises:
        ValidationError: it is wrong in itself, or no run of the recipe could judge it.
    """
    try:
        budget: BudgetConfig = read(written)
    except ValidationError as error:
        if not isinstance(written, dict):
            raise
        raise all_errors("budget", error, find_name_faults(written, plan)) from error
    if faults := find_faults(Budget(**budget.model_dump()), plan):
        raise ValidationError.from_exception_data("budget", faults)
    return budget
