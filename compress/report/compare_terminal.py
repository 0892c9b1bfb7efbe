"""A comparison of two runs on a terminal: files, then what changed, then what cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from compress.report.compare import Change, Comparison
from compress.report.tables import printable
from compress.report.terminal import align, print_text
from compress.units import brief, exact, times

_HEADS = ("artifact", "metric", "on", "before", "after", "change")


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Print what differs between two runs; what is equal is counted, not listed.

    Args:
        comparison: of two runs.
        console: to print on.
    """
    for artifact in comparison.artifacts:
        print_text(Text(f"{artifact.change:<12}{printable(artifact.name)}"), console)
    console.print()
    told_apart = [change for change in comparison.changes if change.told_apart]
    unclear = [change for change in comparison.changes if change.difference != 0 and not change.told_apart]
    for title, changes in (("Changed", told_apart), ("Within what chance explains", unclear)):
        if changes:
            print_text(Text(title, style="bold"), console)
            head, *lines = align([_HEADS, *(_row(change) for change in changes)])
            print_text(Text(head, style="dim"), console)
            for line, change in zip(lines, changes, strict=True):
                print_text(Text(f"{line}  {printable(_evidence(change))}".rstrip()), console)
            console.print()
    for sentence in comparison.refused:
        print_text(Text(printable(sentence), style="yellow"), console)
    equal = len(comparison.changes) - len(told_apart) - len(unclear)
    print_text(
        Text(
            f"Measurements: {len(told_apart)} changed, {len(unclear)} within chance, {equal} equal,"
            f" {comparison.unmatched} in one run alone."
        ),
        console,
    )


def _row(change: Change) -> Sequence[str]:
    before, after = change.before, change.after
    unit = before.unit
    values = [brief(m.value, unit) for m in (before, after)]
    if values[0] == values[1]:
        values = [exact(m.value, unit) for m in (before, after)]
    return (
        printable(change.artifact),
        before.metric,
        printable(before.target),
        *values,
        _difference(change),
    )


def _difference(change: Change) -> str:
    unit = change.before.unit
    if unit in ("bytes", "count", "ms") and change.before.value > 0 and change.after.value > 0:
        ratio = times(change.after.value / change.before.value)
        if ratio != times(1.0):
            return ratio
    text = brief(change.difference, unit)
    return text if change.difference < 0 else f"+{text}"


def _evidence(change: Change) -> str:
    """The interval, the images behind it, and the versions where they changed."""
    parts = []
    if change.interval is not None:
        low, high = (brief(end, change.before.unit) for end in change.interval)
        parts.append(f"{low} to {high}")
    if change.lost is not None:
        parts.append(f"{change.lost} lost, {change.gained} gained")
    if change.before.runtime != change.after.runtime:
        parts.append(f"{change.before.runtime}, then {change.after.runtime}")
    return "; ".join(parts)
