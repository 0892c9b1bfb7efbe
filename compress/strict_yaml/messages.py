"""Turns validation errors into lines for a person: where it stands, what was expected, what was got as written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from compress.strict_yaml.part import Part
from compress.strict_yaml.reader import Document, Loc, Place, Problem, dotted
from compress.strict_yaml.scalars import read_plain_scalar
from compress.strict_yaml.wording import EXPECTED, REFUSED, REFUSED_KEY, closest, did_you_mean

_EXPECTED: Mapping[str, str] = {
    # pydantic's error type: what was expected, for a format with the error's context
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "model_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
}
_LONGEST_SHOWN = 60
_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def problems_of(error: ValidationError, document: Document, whole: type[Part]) -> list[Problem]:
    """One problem for each error that the reader of the file has not reported already.

    Args:
        error: of the validation.
        document: what was validated.
        whole: as what.
    """
    return [
        _problem(details, document, whole)
        for details in error.errors()
        if not any(_follows(details, refused) for refused in document.refused)
    ]


def _follows(details: ErrorDetails, refused: Loc) -> bool:
    """Whether it may be nothing but a consequence of a value that was replaced by null, at it or around it."""
    loc = details["loc"]
    return loc[: len(refused)] == refused or (details["type"] == REFUSED and refused[: len(loc)] == loc)


def _problem(details: ErrorDetails, document: Document, whole: type[Part]) -> Problem:
    loc = details["loc"]
    if details["type"] in ("extra_forbidden", REFUSED_KEY):
        place, label = document.keys[loc], loc[:-1]
        message = (
            details["msg"] if details["type"] == REFUSED_KEY else _unknown_key(str(loc[-1]), _part_at(label, whole))
        )
    else:
        label = _written_part(loc, document)
        place = document.places[label]
        message = _message(details, place)
    prefix = f"{dotted(label)}: " if label else ""
    return Problem(place.line, place.column, prefix + message)


def _written_part(loc: Loc, document: Document) -> Loc:
    """The longest beginning of `loc` that stands in the file: for a missing key, the mapping that lacks it."""
    while loc not in document.places:
        loc = loc[:-1]
    return loc


def _message(details: ErrorDetails, place: Place) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == REFUSED:
        return details["msg"]
    if kind == "missing":
        return f"missing key {details['loc'][-1]!r}; add it"
    if kind == EXPECTED:
        return f"{details['msg']}, got {_got(place)}"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        close = closest(place.written, allowed)
        hint = f"; did you mean {close!r}?" if close else ""
        return f"expected one of {', '.join(allowed)}, got {_got(place)}{hint}"
    limits = {name: f"{limit:.12g}" for name, limit in context.items() if isinstance(limit, (int, float))}
    expected = _EXPECTED[kind].format_map(limits) if kind in _EXPECTED else details["msg"]
    return f"expected {expected}, got {_got(place)}{_advice(kind, place)}"


def _got(place: Place) -> str:
    text = place.written if len(place.written) <= _LONGEST_SHOWN else f"{place.written[:_LONGEST_SHOWN]}…"
    return repr(text) if place.kind == "quoted" else text or "nothing"


def _advice(kind: str, place: Place) -> str:
    """What to do, where the way a scalar is written explains the mistake."""
    if kind == "string_type" and place.kind == "plain" and place.written:
        return f"; to mean the text, quote it: {place.written!r}"
    if kind == "bool_type":
        word = _YAML_1_1.get(place.written.lower(), place.written.lower())
        return f"; write {word}" if word in ("true", "false") else ""
    if place.kind == "quoted" and kind in ("int_type", "float_type"):
        return "; remove the quotes" if _is_number(place.written) else ""
    return ""


def _is_number(text: str) -> bool:
    try:
        return isinstance(read_plain_scalar(text), (int, float))
    except ValueError:
        return False


def _unknown_key(key: str, part: type[Part]) -> str:
    """What to say about a key that a part does not have."""
    keys = _keys(part)
    if not closest(key, keys):
        for name, inner in keys.items():
            if inner and (close := closest(key, _keys(inner))):
                return f"unknown key {key!r}; did you mean {close!r}, under {name!r}?"
    return f"unknown key {key!r}{did_you_mean(key, keys)}"


def _part_at(loc: Loc, whole: type[Part]) -> type[Part]:
    """The part that stands at a place; an index, or a name that the file's writer chose, leads no deeper."""
    part = whole
    for step in loc:
        deeper = _keys(part).get(step) if isinstance(step, str) else None
        part = part if deeper is None else deeper
    return part


def _keys(part: type[Part]) -> dict[str, type[Part] | None]:
    """The keys of a mapping as they are written, each with the part that stands under it."""
    return {field.alias or name: _part_in(field.annotation) for name, field in part.model_fields.items()}


def _part_in(annotation: object) -> type[Part] | None:
    """The Part in `Part | None`, `tuple[Part, ...]` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((part for inner in get_args(annotation) if (part := _part_in(inner))), None)
