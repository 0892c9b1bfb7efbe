"""How a number with its unit is written for a person: `exact` in messages, `brief` in tables."""

from __future__ import annotations

import math

_DECIMALS = {"fraction": 4, "ratio": 4, "ms": 3, "dB": 2, "logits": 6, "s": 1, "count": 0, "bytes": 0}
_SUFFIX = {"bytes": " bytes", "ms": " ms", "dB": " dB", "s": " s"}
_MOST_DECIMALS = 15


def decimals(unit: str, *numbers: float) -> int:
    """Decimals that show every given number that is not 0 as something other than 0.

    Numbers of one sentence (value, limit, excess) are written with the same decimals, so that they add up.

    Args:
        unit: a unit of METRICS, or `ratio`.
        *numbers: what will be written.
    """
    chosen = _DECIMALS.get(unit, 4)
    while chosen < _MOST_DECIMALS and any(x != 0 and float(f"{x:.{chosen}f}") == 0 for x in numbers):
        chosen += 1
    return chosen


def exact(value: float, unit: str, digits: int | None = None) -> str:
    """`0.0231`, `49,824 bytes`, `0.112 ms`; `digits` decimals, or what `decimals` finds."""
    digits = decimals(unit, value) if digits is None else digits
    return f"{value:,.{digits}f}{_SUFFIX.get(unit, '')}"


def brief(value: float, unit: str) -> str:
    """`0.9135`, `49.8 kB`, `0.512 M`, `0.112 ms`, `1.2e-06`; a real minus sign, decimal prefixes."""
    text = _brief(abs(value), unit)
    return f"−{text}" if value < 0 else text


def times(ratio: float) -> str:
    """A ratio to a baseline: `54.2×`, `1.08×`, `0.87×`."""
    return f"{_significant(ratio)}×"


def _brief(size: float, unit: str) -> str:
    if unit == "fraction":
        return f"{size:.4f}"
    if unit == "bytes":
        return _prefixed(size, (("bytes", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9)))
    if unit == "count":
        return f"{size:,.0f}" if size < 1e5 else _prefixed(size, (("M", 1e6), ("G", 1e9), ("T", 1e12)))
    if unit == "logits":
        return f"{size:#.2g}" if size else "0"
    return f"{_significant(size)}{_SUFFIX.get(unit, '')}"


def _prefixed(size: float, prefixes: tuple[tuple[str, float], ...]) -> str:
    name, factor = next((p for p in reversed(prefixes) if size >= p[1]), prefixes[0])
    return f"{_significant(size / factor)} {name}"


def _significant(size: float) -> str:
    """Three significant digits without an exponent: `0.112`, `1.08`, `54.2`, `1,230`."""
    if size == 0:
        return "0"
    places = 2 - math.floor(math.log10(size))
    return f"{round(size, places):,.{min(max(places, 0), _MOST_DECIMALS)}f}"
