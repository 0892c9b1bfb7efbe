"""Reads a plain (unquoted) YAML scalar as it is written.

The rules are those of YAML 1.2's core schema (yaml.org/spec/1.2.2, section 10.3.2), narrowed so that no word has two
readings: only `true` and `false` are booleans, and only `null`, `~` and nothing at all are null. PyYAML follows YAML
1.1, where `1e-3` is text, `no` is false, `010` is 8 and `12:30` is 750.
"""

from __future__ import annotations

import math
import re

Scalar = None | bool | int | float | str

_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGERS = (
    (re.compile(r"[-+]?[0-9]+"), 10),
    (re.compile(r"0o[0-7]+"), 8),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 64
"""Characters. Longer digits are a hash or a mistake; Python itself refuses to read more than 4300."""
_LARGEST_INTEGER = 2**63 - 1


def read_plain_scalar(text: str) -> Scalar:
    """What the unquoted scalar `text` means: null, a boolean, a number, or else the text itself.

    Raises:
        ValueError: a number that is not finite, too large or too long.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number; quote it if text is meant")
    number = _read_number(text)
    return text if number is None else number


def _read_number(text: str) -> int | float | None:
    base = next((base for pattern, base in _INTEGERS if pattern.fullmatch(text)), None)
    if base is None and not _FLOAT.fullmatch(text):
        return None
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} characters is too long; quote it if text is meant")
    number = float(text) if base is None else int(text if base == 10 else text[2:], base)
    if math.isinf(number) or (base is not None and abs(number) > _LARGEST_INTEGER):
        raise ValueError(f"{text} is too large for a number; quote it if text is meant")
    return number
