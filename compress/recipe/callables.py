"""What a recipe plugs in: plain Python callables, imported by dotted path, their arguments bound to their signatures.

- Imported while the recipe loads, so that a misspelt name ends the run before anything trains.
- An argument is checked against its annotation where that is made of Python's plain types (`int`, `tuple[int, ...]`,
  `Literal["a", "b"]`, `float | None`); any other annotation is the callable's own business.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
import traceback
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails

from compress.strict_yaml.wording import EXPECTED, REFUSED, REFUSED_KEY, closest, did_you_mean, refusal
from compress.types import Json

_PLAIN = (int, float, str, bool, types.NoneType, tuple, list, dict)
_CONTAINERS = (tuple, list, dict, Sequence, Mapping, Union, types.UnionType)
_IMPORT_FAILURES = (
    ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError, ArithmeticError,
    AssertionError, OSError, RuntimeError, SystemExit,
)  # fmt: skip
"""What a user's module raises while it is imported; its own exception classes keep their traceback."""


def find_callable(path: str) -> Callable[..., Any]:
    """Import `package.module:name`.

    Args:
        path: one colon, a dotted module before it, a name of that module behind it.

    Raises:
        PydanticCustomError: it is written otherwise, the module or the name does not exist, the module fails, or the
            name is not callable.
    """
    module_name, _, name = path.partition(":")
    if not all(word.isidentifier() for word in (*module_name.split("."), name)):
        raise refusal("expected package.module:name", EXPECTED)
    module = _import(module_name)
    if not hasattr(module, name):
        public = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
        raise refusal(f"module {module_name!r} has no {name!r}{did_you_mean(name, public)}")
    found: object = getattr(module, name)
    if not callable(found):
        raise refusal(f"{path} is {type(found).__name__!r}, expected something callable: a function or a class")
    return found


def _import(name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise refusal(_no_module(missing)) from error
        raise refusal(f"module {name!r} needs {missing!r}, which is not installed; install it") from error
    except _IMPORT_FAILURES as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}:{frame.lineno}"
        if isinstance(error, SyntaxError):
            where = f"{error.filename}:{error.lineno}"
        raise refusal(
            f"module {name!r} fails while it is imported: {type(error).__name__}: {error} ({where})"
        ) from error


def _no_module(missing: str) -> str:
    parent, _, last = missing.rpartition(".")
    folders = getattr(sys.modules[parent], "__path__", ()) if parent else None
    siblings = [found.name for found in pkgutil.iter_modules(folders)]
    if parent:
        return f"package {parent!r} has no module {last!r}{did_you_mean(last, siblings)}"
    close = closest(last, siblings)
    advice = f"did you mean {close!r}?" if close else "install it, or add its folder to PYTHONPATH"
    return f"no module named {missing!r}; {advice}"


def bind_arguments(
    path: str, function: Callable[..., Any], args: Mapping[str, Json], supplied: Collection[str]
) -> dict[str, Json]:
    """Check a callable's arguments before it is called.

    Args:
        path: what messages call it.
        function: what will be called, by keywords only.
        args: the recipe's arguments.
        supplied: names of the arguments that the pipeline adds, to a callable that takes them.

    Returns:
        The arguments in the types of the signature (a list becomes a tuple where one is annotated); still JSON-able.

    Raises:
        ValidationError: one error for each unknown, missing or mistyped argument.
    """
    try:
        parameters = _parameters(function)
    except (ValueError, TypeError) as error:
        raise refusal(f"{path} does not say what arguments it takes; wrap it in a Python function") from error
    named = {p.name: p for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    bound: dict[str, Json] = {}
    errors: list[InitErrorDetails] = []
    for name, value in args.items():
        if name in supplied:
            errors.append(_error((name,), f"argument {name!r} is supplied by the pipeline; remove it", REFUSED_KEY))
        elif name not in named and not takes_any:
            hint = did_you_mean(name, set(named) - set(supplied))
            errors.append(_error((name,), f"unknown argument {name!r} of {path}{hint}", REFUSED_KEY))
        else:
            annotation = named[name].annotation if name in named else Any
            bound[name], wrong = _convert(name, value, annotation)
            errors += wrong
    for parameter in parameters:
        if _must_be_given(parameter) and parameter.name not in {*args, *supplied}:
            errors.append(_error((), f"missing argument {parameter.name!r} of {path}{_taken_by(parameter)}"))
    if errors:
        raise ValidationError.from_exception_data(path, errors)
    return bound


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether the callable can be given this keyword argument."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind is p.VAR_KEYWORD or (p.name == name and p.kind in kinds) for p in _parameters(function))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that only a type checker can evaluate: those stay text, and unchecked
        signature = inspect.signature(function)
    return list(signature.parameters.values())


def _must_be_given(parameter: inspect.Parameter) -> bool:
    optional_kinds = (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    return parameter.default is parameter.empty and parameter.kind not in optional_kinds


def _taken_by(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return ", which it takes by position only; wrap it in a function that takes keywords"
    if _is_plain(parameter.annotation):
        return f" ({inspect.formatannotation(parameter.annotation)}); add it under args"
    return "; add it under args"


def _convert(name: str, value: Json, annotation: object) -> tuple[Json, list[InitErrorDetails]]:
    """The value in the annotation's type, and what is wrong with it."""
    if not _is_plain(annotation):
        return value, []
    try:
        # As JSON, where a list may become a tuple or stay a list, whichever the signature says.
        adapter: TypeAdapter[Json] = TypeAdapter(annotation, config=ConfigDict(strict=True))
        return adapter.validate_json(json.dumps(value)), []
    except ValidationError as error:
        if _is_union(annotation):  # pydantic reports every branch; one line is enough
            return value, [_error((name,), f"expected {inspect.formatannotation(annotation)}", EXPECTED)]
        return value, [
            InitErrorDetails(type=e["type"], loc=(name, *e["loc"]), input=e["input"], ctx=e.get("ctx", {}))
            for e in error.errors()
        ]


def _is_plain(annotation: object) -> bool:
    origin = get_origin(annotation)
    if origin is None:
        return annotation in _PLAIN
    if origin is Literal:
        return True
    return origin in _CONTAINERS and all(_is_plain(a) for a in get_args(annotation) if a is not Ellipsis)


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _error(loc: tuple[str, ...], message: str, kind: str = REFUSED) -> InitErrorDetails:
    return InitErrorDetails(type=refusal(message, kind), loc=loc, input=None)
