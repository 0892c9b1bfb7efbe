"""A budget as it stands in the recipe; budget_rules.py says which of them a run can judge."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from compress.recipe.calls import Part
from compress.recipe.rules import known_metric, known_target, one_limit


class BudgetConfig(Part):
    """A limit, and what must keep it; compress.types.Budget says what each key means."""

    metric: Annotated[str, AfterValidator(known_metric)]
    artifact: str
    target: Annotated[str, AfterValidator(known_target)] | None = None
    runtime: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    relative_to: str | None = None
    judge: Literal["estimate", "interval"] = "estimate"

    @model_validator(mode="after")
    def _has_one_limit(self) -> BudgetConfig:
        one_limit(self.at_most, self.at_least)
        return self
