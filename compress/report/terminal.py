"""The verdict and the results on a terminal: at most 100 columns, plain where the output is no terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from compress.report.choice import choice_table, list_phones
from compress.report.headline import headline, tally_verdicts
from compress.report.lookup import Lookup
from compress.report.rows import results_table
from compress.report.tables import Cell, Table, printable
from compress.report.warnings import find_warnings
from compress.types import Results

WIDTH = 100
_STYLES = {"pass": "green", "fail": "red", "missing": "yellow", "": ""}
_TONES = {"PASS": "green", "MISSING": "yellow"}
_TITLES = {"artifact": "artifact", "size": "size", "accuracy": "accuracy", "drop": "drop", "latency": "host p50"}
_CHOICE_TITLES = {"scheme": "scheme", "format": "", "verdict": "auto", "accuracy": "validation", "size": "size"}
_WITH_GAIN = ("size", "latency")
_PLAIN = str.maketrans({"×": "x", "−": "-", "–": "-", "≤": "<=", "≥": ">=", "±": "+-", "·": "-"})


def render(results: Results, console: Console) -> None:
    """Print the results table, what every limit came to, and the verdict last, where the eye is.

    Args:
        results: of a run.
        console: to print on.
    """
    lookup = Lookup(results)
    table = results_table(lookup)
    if table.rows:
        _print_table(table, _TITLES, lookup.favourite_core, console)
    choice = choice_table(lookup)
    if choice.rows:
        predicted = {phone: f"{phone} predicted" for phone in list_phones(lookup)[:1]}
        _print_table(choice, {**_CHOICE_TITLES, **predicted}, lookup.favourite_core, console)
    for note in results.notes:
        print_text(Text(printable(note), style="yellow"), console)
    if results.notes:
        console.print()
    gain = headline(results).gain
    if gain:
        print_text(Text(gain), console)
        console.print()
    render_verdicts(results, console)


def render_verdicts(results: Results, console: Console) -> None:
    """Print every verdict with its reason, those that block at the end, then warnings, the word and the tally.

    Args:
        results: of a run, with the verdicts of the gate.
        console: to print on.
    """
    verdicts = results.verdicts
    for verdict in sorted(verdicts, key=lambda v: v.status != "PASS"):
        line = Text(f"{verdict.status:<8}", style=_TONES.get(verdict.status, "red"))
        line.append(printable(verdict.reason), style="default")
        print_text(line, console)
    for warning in find_warnings(results):
        print_text(Text(f"WARNING  {warning}", style="bold yellow"), console)
    if verdicts or find_warnings(results):
        console.print()
    word, tone, tally = tally_verdicts(verdicts)
    line = Text(f"{word}  ", style=f"bold {_STYLES[tone]}")
    line.append(tally, style="not bold default")
    print_text(line, console)


def _print_table(table: Table, columns: Mapping[str, str], core: str | None, console: Console) -> None:
    keys = [column.key for column in table.columns]
    titles = {**columns, **({core: f"{core} instr."} if core and core in keys else {})}
    picked = [[row[keys.index(key)] for key in titles] for row in table.rows]
    gained = {*_WITH_GAIN, core}
    lines = align(
        [list(titles.values()), *([_words(c, k in gained) for k, c in zip(titles, r, strict=True)] for r in picked)]
    )
    if len(lines[0]) > _width(console):
        lines = align([list(titles.values()), *([c.text for c in row] for row in picked)])
    for number, line in enumerate(lines):
        # Never folded: a table wider than the terminal wraps, and stays whole in a pipe.
        text = Text(_writable(line, console), style="" if number else "dim")
        console.print(text, soft_wrap=True, highlight=False)
    console.print()


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of equal length: the first column to the left, the others to the right."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = ((text, " " * (width - cell_len(text))) for text, width in zip(row, widths, strict=True))
        lines.append("  ".join([first[0] + first[1], *(space + text for text, space in others)]))
    return lines


def _words(cell: Cell, with_gain: bool) -> str:
    """The figure, and behind it `54.6×`, the gain without its word; the table's heads leave no room for more."""
    if not (with_gain and cell.small):
        return cell.text
    ratio, word = cell.small.split(" ", 1)
    return f"{cell.text}  {ratio if word in ('smaller', 'faster', 'fewer') else cell.small}"


def print_text(text: Text, console: Console) -> None:
    """Print in signs that the console can write; folded on a terminal alone."""
    # Long reasons stay one line where a program or a log reads them.
    text.plain = _writable(text.plain, console)
    console.print(text, soft_wrap=not console.is_terminal, highlight=False)


def _width(console: Console) -> int:
    return min(console.width, WIDTH) if console.is_terminal else WIDTH


def _writable(text: str, console: Console) -> str:
    """The text in the console's encoding, so that no sign can end the program."""
    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(console.encoding, "replace").decode(console.encoding)
    return text
