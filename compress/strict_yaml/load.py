"""Reads a YAML file into a Part, or says everything that is wrong with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from compress.errors import RecipeError
from compress.strict_yaml.messages import problems_of
from compress.strict_yaml.part import Part
from compress.strict_yaml.reader import Document, Loc, Place, Problem, read_yaml
from compress.strict_yaml.wording import closest

_LARGEST_BYTES = 2**20

P = TypeVar("P", bound=Part)


class Source(NamedTuple):
    """The file that a part was read from; places: where each value stands in it."""

    path: Path
    text: str
    sha256: str
    places: Mapping[Loc, Place]


class Wanted(NamedTuple):
    """What messages say was expected: `a recipe`; where one is to be seen: `see pipelines/`."""

    what: str
    example: str


def load_part(
    path: Path, kind: type[P], wanted: Wanted, find_faults: Callable[[Document], list[Problem]] = lambda _: []
) -> P:
    """Read, check and freeze the whole of a file.

    Args:
        path: a YAML file, at most 1 MiB of UTF-8; messages show it as it is given.
        kind: its validators find the `Source` as their context.
        wanted: for messages.
        find_faults: what the types of `kind` cannot say about the file; asked too where it does not fit them.

    Raises:
        RecipeError: one line `file:line:column: key: what is wrong` for each mistake, from top to bottom.
    """
    data = _read_bytes(path, wanted)
    text = _decode(path, data)
    document = read_yaml(text)
    problems = list(document.problems)
    if document.readable:
        problems += find_faults(document)
        try:
            source = Source(path, text, hashlib.sha256(data).hexdigest(), document.places)
            part = kind.model_validate_json(json.dumps(document.value), context=source)
        except ValidationError as error:
            problems += problems_of(error, document, kind)
        else:
            if not problems:
                return part
    raise _error(path, problems)


def _read_bytes(path: Path, wanted: Wanted) -> bytes:
    expected = f"expected {wanted.what}, a YAML file"
    try:
        if path.is_dir():
            raise RecipeError(f"{path}: is a folder; {expected}; name the file in it")
        if not path.exists():
            raise RecipeError(f"{path}: no such file{_neighbour(path, wanted)}")
        if not path.is_file():
            raise RecipeError(f"{path}: is not a regular file; {expected}")
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}; {expected}") from error
    if len(data) > _LARGEST_BYTES:
        raise RecipeError(f"{path}: is larger than 1 MiB; {expected} of a few KiB; is it a model?")
    return data


def _neighbour(path: Path, wanted: Wanted) -> str:
    names = [found.name for found in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    close = closest(path.name, names)
    return f"; did you mean {path.with_name(close)}?" if close else f"; expected {wanted.what}, {wanted.example}"


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8 text"
        raise _error(path, [Problem(line, column, message)]) from error


def _error(path: Path, problems: list[Problem]) -> RecipeError:
    """One line for each problem, from top to bottom; several at one place in the order they were found."""
    in_order = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))
    return RecipeError("\n".join(f"{path}:{each.line}:{each.column}: {each.message}" for each in in_order))
