"""Words that the recipe's messages share."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

REFUSED = "recipe_refused"
"""Error type whose message is complete."""

REFUSED_KEY = "recipe_refused_key"
"""The same about the key and not the value."""

EXPECTED = "recipe_expected"
"""Error type whose message says what was expected; what was got, as written, is added to it."""

_OURS = (REFUSED, REFUSED_KEY, EXPECTED)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is written most like this one, None if none is close; of several, one that begins alike."""

    def likeness(name: str) -> tuple[float, int]:
        alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(name, word, strict=False))
        return difflib.SequenceMatcher(None, name, word).ratio(), len(list(alike))

    return max(difflib.get_close_matches(word, list(known), n=5), key=likeness, default=None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` if a known word is close to this one, else `; known: a, b, c`."""
    names = sorted(set(known))
    if close := closest(word, names):
        return f"; did you mean {close!r}?"
    return f"; known: {', '.join(names)}" if names else "; there is none to name"


def refusal(message: str, kind: str = REFUSED) -> PydanticCustomError:
    """A validation error with our own words, shown after the place and the key."""
    # Through a placeholder: braces in the message itself must not be taken for one.
    return PydanticCustomError(kind, "{message}", {"message": message})


def all_errors(title: str, error: ValidationError, more: list[InitErrorDetails]) -> ValidationError:
    """The errors of a part and some others of it as one."""
    details = [
        InitErrorDetails(
            type=refusal(found["msg"], found["type"]) if found["type"] in _OURS else found["type"],
            loc=found["loc"],
            input=found["input"],
            ctx=found.get("ctx", {}),
        )
        for found in error.errors()
    ]
    return ValidationError.from_exception_data(title, details + more)
