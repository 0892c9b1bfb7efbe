"""The shape that every part of a recipe has, and the parts that name a Python callable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from compress.recipe.callables import bind_arguments, find_callable, takes
from compress.types import Json


class Part(BaseModel):
    """One mapping of the recipe."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def _importable(path: str) -> str:
    find_callable(path)
    return path


class Call(Part):
    """`{call: "package.module:name", args: {...}}`: a plain Python callable, imported and checked while loading.

    path: the key `call`.
    args: its keyword arguments; JSON-able.
    supplied: arguments that the pipeline adds, if the callable has them; a recipe cannot give these.
    """

    supplied: ClassVar[tuple[str, ...]] = ()

    path: Annotated[str, AfterValidator(_importable)] = Field(alias="call")
    args: dict[str, Json] = Field(default={}, validate_default=True)

    @field_validator("args")
    @classmethod
    def _bind(cls, args: dict[str, Json], info: ValidationInfo) -> dict[str, Json]:
        if "path" not in info.data:  # already reported
            return args
        path = info.data["path"]
        return bind_arguments(path, find_callable(path), args, cls.supplied)

    @property
    def module(self) -> str:
        """The dotted name of the module that holds it."""
        return self.path.partition(":")[0]

    def resolve(self) -> Callable[..., Any]:
        """The callable itself."""
        return find_callable(self.path)

    def build(self, **provided: object) -> Any:
        """Call it with the recipe's arguments and those of `provided` that it takes.

        Raises:
            TypeError: `provided` does not hold exactly the names in `supplied`; and whatever the callable raises.
        """
        if set(provided) != set(self.supplied):
            raise TypeError(f"{type(self).__name__} supplies {self.supplied}, got {tuple(provided)}")
        function = self.resolve()
        return function(**self.args, **{name: value for name, value in provided.items() if takes(function, name)})


class TaskCall(Call):
    """A call that returns a task; `home` (a Path) is the folder where it may keep downloaded data."""

    supplied = ("home",)


class ModelCall(Call):
    """A call that returns an untrained torch module, (batch, in_channels, h, w) to logits (batch, classes)."""

    supplied = ("in_channels", "classes")
