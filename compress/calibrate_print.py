"""What `compress calibrate` prints."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compress.calibrate import Outcome


def print_calibration(outcome: Outcome, file: Path, console: Console) -> None:
    """A table of what was timed, the factor, and where it was written."""
    found = outcome.calibration
    table = Table(box=None, pad_edge=False)
    for column in ("network", "scheme", "predicted", "measured", "ratio", "left over"):
        table.add_column(column, justify="left" if column in ("network", "scheme") else "right")
    for each in outcome.timed:
        ms = (f"{each.predicted.ms:.3g} ms", f"{each.measured_ms:.3g} ms")
        table.add_row(each.network, each.scheme, *ms, f"{each.ratio:.3f}", f"{each.ratio / found.factor - 1:+.1%}")
    console.print(table, highlight=False)
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    console.print(f"[bold]{escape(found.device)}[/], {threads}: × {found.factor:.3f}", highlight=False)
    for note in outcome.notes:
        console.print(escape(note), highlight=False)
    console.print(
        f"Written to {escape(str(file))}; a recipe reads it with `devices: {escape(str(file))}`", highlight=False
    )
