"""Reads a recipe, or says everything that is wrong with it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from compress.errors import RecipeError
from compress.recipe.messages import problems_of
from compress.recipe.schema import Recipe, Source
from compress.recipe.wording import closest
from compress.recipe.yaml_reader import Problem, read_yaml

_LARGEST_BYTES = 2**20


def load_recipe(path: Path) -> Recipe:
    """Read, check and freeze a recipe. This imports the Python modules that it names.

    Args:
        path: a YAML file, at most 1 MiB of UTF-8; messages show it as it is given.

    Raises:
        RecipeError: one line `file:line:column: key: what is wrong` for each mistake, from top to bottom.
    """
    data = _read_bytes(path)
    text = _decode(path, data)
    document = read_yaml(text)
    problems = list(document.problems)
    if document.readable:
        try:
            source = Source(path, text, hashlib.sha256(data).hexdigest(), document.places)
            recipe = Recipe.model_validate_json(json.dumps(document.value), context=source)
        except ValidationError as error:
            problems += problems_of(error, document)
        else:
            if not problems:
                return recipe
    raise _error(path, problems)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise RecipeError(f"{path}: is a folder; expected a recipe, a YAML file; name the file in it")
        if not path.exists():
            raise RecipeError(f"{path}: no such file{_neighbour(path)}")
        if not path.is_file():
            raise RecipeError(f"{path}: is not a regular file; expected a recipe, a YAML file")
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}; expected a recipe, a YAML file") from error
    if len(data) > _LARGEST_BYTES:
        raise RecipeError(f"{path}: is larger than 1 MiB; expected a recipe, a YAML file of a few KiB; is it a model?")
    return data


def _neighbour(path: Path) -> str:
    names = [found.name for found in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    close = closest(path.name, names)
    return f"; did you mean {path.with_name(close)}?" if close else "; expected a recipe, see pipelines/"


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
    lines = (f"{path}:{problem.line}:{problem.column}: {problem.message}" for problem in sorted(set(problems)))
    return RecipeError("\n".join(lines))
