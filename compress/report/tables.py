"""What every report is made of: tables of cells that hold text already written for a person.

The rows are built once (rows.py, evidence.py); html, markdown and terminal only lay them out. So a figure cannot
differ from one report to another.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "pass", "fail", "missing"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """key: for those who lay out only some columns; numeric: aligned to the right."""

    key: str
    title: str
    numeric: bool = True


@dataclass(frozen=True, kw_only=True)
class Cell:
    """text: the figure; small: what qualifies it (interval, ratio, n), set below or behind it."""

    text: str
    small: str = ""
    tone: Tone = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """columns and rows of equal length; notes: how to read it; missing: why there are no rows."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    missing: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row has another length than the {len(self.columns)} columns")


NOTHING = Cell(text="–")
"""Not measured."""


def cell(text: str, small: str = "", tone: Tone = "") -> Cell:
    """A cell with text that came from outside made printable."""
    return Cell(text=printable(text), small=printable(small), tone=tone)


def printable(text: str) -> str:
    """Text without control characters: they would break a table's line, a terminal or an XML file."""
    kept = (" " if c in "\t\n\r" else c for c in text)
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cs") else c for c in kept)
