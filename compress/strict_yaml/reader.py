"""Strict YAML to plain values, with the place where each was written.

- Works on PyYAML's events, not on its objects: events carry every mark, tag and anchor, and nothing is built from what
  is going to be refused (an alias bomb has no time to go off).
- Collects problems and reads on, so that one look shows them all; only a syntax error ends the reading.
- What would let two readers see two recipes is refused: duplicate keys, aliases, merge keys, tags, several documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import yaml

from compress.strict_yaml.scalars import Scalar, read_plain_scalar
from compress.types import Json

Loc = tuple[str | int, ...]
"""Way from the top to a value: keys of mappings and indices of lists, as in pydantic's errors."""

Kind = Literal["plain", "quoted", "list", "mapping"]

_DEEPEST = 32


@dataclass(frozen=True)
class Problem:
    """One mistake in the file; line and column count from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True)
class Place:
    """Where something was written, and how.

    written: a scalar's text without its quotes, or `a list`, `a mapping`.
    """

    line: int
    column: int
    written: str
    kind: Kind


@dataclass
class Document:
    """What was read.

    value: JSON's types only; readable: it is the whole file.
    places: where each value starts; keys: where the key of each value stands.
    problems: what was refused; refused: the values that were replaced by null on the way.
    """

    value: Json = None
    readable: bool = False
    places: dict[Loc, Place] = field(default_factory=dict)
    keys: dict[Loc, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[Loc] = field(default_factory=set)


def dotted(loc: Loc) -> str:
    """`student.train.epochs`, `budgets[2].metric`; empty for the top."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).lstrip(".")


class _UnreadableError(Exception):
    """The rest of the file cannot be read; carries the Problem."""


def read_yaml(text: str) -> Document:
    """Read one YAML document.

    Every mistake is in the result's `problems`; where the syntax is broken, it is not `readable`, and the problem about
    that is the last one.
    """
    document = Document()
    try:
        _Reader(text, document).read()
        document.readable = True
    except _UnreadableError as error:
        document.problems.append(error.args[0])
    except yaml.MarkedYAMLError as error:
        document.problems.append(_syntax_problem(error))
    except yaml.reader.ReaderError as error:
        document.problems.append(_character_problem(text, error))
    return document


class _Reader:
    """Walks the events once and fills the document."""

    def __init__(self, text: str, document: Document) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._document = document

    def read(self) -> None:
        next(self._events)  # start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _UnreadableError(Problem(1, 1, "the file is empty; expected keys and their values"))
        self._document.value = self._value((), next(self._events))
        next(self._events)  # end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _UnreadableError(_problem(event, "a second document starts here; a file holds one"))

    def _value(self, loc: Loc, event: yaml.Event) -> Json:
        self._refuse_magic(loc, event)
        if len(loc) > _DEEPEST:
            raise _UnreadableError(_problem(event, f"nested deeper than {_DEEPEST} levels; no file needs that"))
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(loc, event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(loc, event)
        return self._scalar(loc, event) if isinstance(event, yaml.ScalarEvent) else None

    def _refuse_magic(self, loc: Loc, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._document.places[loc] = _place(event, f"*{event.anchor}", "plain")
            self._refuse(loc, event, f"alias *{event.anchor} is not read; write the value out")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self._report(loc, event, f"anchor &{event.anchor} is not read; remove it and write the value out each time")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(loc, event, f"tag {tag} is not read; remove it, and use quotes for text")

    def _mapping(self, loc: Loc, start: yaml.Event) -> dict[str, Json]:
        self._document.places[loc] = _place(start, "a mapping", "mapping")
        values: dict[str, Json] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            name = self._key(loc, event, values)
            if name is None:
                self._skip(event)
                self._skip(next(self._events))
            else:
                values[name] = self._value((*loc, name), next(self._events))
        return values

    def _key(self, loc: Loc, event: yaml.Event, values: dict[str, Json]) -> str | None:
        """The key's name, or None if it is refused."""
        if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag is not None:
            self._report(loc, event, "a key must be a plain word, without anchor, alias or tag")
            return None
        name = str(event.value)
        if name == "<<" and event.style is None:
            self._report(loc, event, "merge key << is not read; write the keys out")
            return None
        if name in values:
            first = self._document.keys[(*loc, name)].line
            self._report(loc, event, f"duplicate key {name!r}, first given in line {first}; keep one of them")
            return None
        self._document.keys[(*loc, name)] = _place(event, name, "plain")
        return name

    def _list(self, loc: Loc, start: yaml.Event) -> list[Json]:
        self._document.places[loc] = _place(start, "a list", "list")
        values: list[Json] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value((*loc, len(values)), event))
        return values

    def _scalar(self, loc: Loc, event: yaml.ScalarEvent) -> Scalar:
        text = str(event.value)
        plain = event.style is None
        self._document.places[loc] = _place(event, text, "plain" if plain else "quoted")
        try:
            text.encode()  # an escape such as "\ud800" is no character
            return read_plain_scalar(text) if plain else text
        except UnicodeEncodeError:
            self._refuse(loc, event, "half of a surrogate pair is no character; write the character itself")
        except ValueError as error:
            self._refuse(loc, event, str(error))
        return None

    def _skip(self, event: yaml.Event) -> None:
        """Read over the node that starts with this event."""
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                return
            event = next(self._events)

    def _report(self, loc: Loc, event: yaml.Event, message: str) -> None:
        self._document.problems.append(_problem(event, f"{dotted(loc)}: {message}" if loc else message))

    def _refuse(self, loc: Loc, event: yaml.Event, message: str) -> None:
        self._document.refused.add(loc)
        self._report(loc, event, message)


def _start(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _place(event: yaml.Event, written: str, kind: Kind) -> Place:
    return Place(*_start(event), written, kind)


def _problem(event: yaml.Event, message: str) -> Problem:
    return Problem(*_start(event), message)


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = error.problem or error.context or "unreadable"
    if "'\\t'" in what:
        return Problem(line, column, "a tab stands where YAML takes only spaces; indent with spaces")
    context = f" {error.context}" if error.context and error.problem else ""
    if context and error.context_mark:
        context += f" that starts in line {error.context_mark.line + 1}"
    return Problem(
        line, column, f"not YAML{context}: {what}; mind the indentation, and quote text that holds ': ' or ' #'"
    )


def _character_problem(text: str, error: yaml.reader.ReaderError) -> Problem:
    before = text[: error.position]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return Problem(line, column, f"character U+{ord(text[error.position]):04X} may not stand in YAML; remove it")
