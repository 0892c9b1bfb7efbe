"""Reads what the reports wrote, with parsers that are not the project's."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}
_CLOSES = {"p", "li", "td", "th", "tr"}


class Page(HTMLParser):
    """Tables as lists of rows of (text, small print); ids; tags; the visible text; what was not closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[tuple[str, str]]]] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.crooked: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.crooked += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(("", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.crooked.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)
        if {"td", "th"} & set(self._open):
            text, small = self.tables[-1][-1][-1]
            if "small" in self._open:
                self.tables[-1][-1][-1] = text, small + data
            else:
                self.tables[-1][-1][-1] = text + data, small

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        self.ids += [value or "" for key, value in attrs if key == "id"]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def markdown_tables(text: str) -> list[list[list[tuple[str, str]]]]:
    """The pipe tables, like `Page.tables`, with Markdown's escapes taken back."""
    tables: list[list[list[tuple[str, str]]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        if not inside:
            tables.append([])
            inside = True
        if re.fullmatch(r"\|( :?-+:? \|)+", line):
            continue
        cells = re.split(r"(?<!\\) \|(?: |$)", line[2:])[:-1]
        tables[-1].append([_markdown_cell(cell) for cell in cells])
    return tables


def number(text: str) -> float:
    """`54.2 kB` -> 54200.0, `0.512 M` -> 512000.0, `−0.0012` -> -0.0012."""
    match = re.fullmatch(r"(−?)([\d,]+(?:\.\d+)?(?:e-?\d+)?) ?(bytes|kB|MB|M|G|ms|dB|)", text)
    assert match, text
    sign, digits, prefix = match.groups()
    factor = {"kB": 1e3, "MB": 1e6, "M": 1e6, "G": 1e9}.get(prefix, 1.0)
    return (-1 if sign else 1) * float(digits.replace(",", "")) * factor


def _markdown_cell(cell: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*?)(?: <sub>(.*)</sub>)?", cell)
    assert match
    text, small = match.groups()
    bold = re.fullmatch(r"\*\*(.*)\*\*", text)
    return _plain(bold.group(1) if bold else text), _plain(small or "")


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
