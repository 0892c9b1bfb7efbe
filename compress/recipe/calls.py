"""The parts of a recipe that name a Python callable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, field_validator

from compress.recipe.callables import bind_arguments, find_callable, takes
from compress.strict_yaml import Loc, Part
from compress.types import Json


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

    _place: str = PrivateAttr(default="")

    @field_validator("args")
    @classmethod
    def _bind(cls, args: dict[str, Json], info: ValidationInfo) -> dict[str, Json]:
        if "path" not in info.data:  # already reported
            return args
        path = info.data["path"]
        return bind_arguments(path, find_callable(path), args, cls.supplied)

    @property
    def where(self) -> str:
        """`recipe.yaml:12:10: student.model: package.module:name`, for messages about what it does."""
        return f"{self._place}: {self.path}" if self._place else self.path

    def learn_place(self, place: str) -> None:
        """Remember where it stands, which only the reader of the whole file knows."""
        self._place = place

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


def calls_in(part: Part, loc: Loc = ()) -> Iterator[tuple[Loc, Call]]:
    """Every call below a part, with the way to it as it is written in the file."""
    for name, field in type(part).model_fields.items():
        yield from _calls_at(getattr(part, name), (*loc, field.alias or name))


def _calls_at(value: object, loc: Loc) -> Iterator[tuple[Loc, Call]]:
    if isinstance(value, Call):
        yield loc, value
    elif isinstance(value, Part):
        yield from calls_in(value, loc)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _calls_at(item, (*loc, index))
