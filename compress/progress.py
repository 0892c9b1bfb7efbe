"""How a run tells where it stands: one live line on a terminal, plain lines elsewhere.

Every stage prints one line when it ends, with how long it took or that it came from the store. On a terminal the
running stage is shown below them and overwritten; in a log file an epoch is a line of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Progress:
    """Shows the stages of one run on a console. Safe to call from several threads."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._running: dict[str, str] = {}

    def note(self, text: str) -> None:
        """A line that is not a stage: what was found, what is missing."""
        self._print(f"[yellow]·[/] {escape(text)}")

    @contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """Show a stage while it runs; when it ends, one line that stays."""
        started = time.perf_counter()
        stage = Stage(self, title)
        self._update(title, "")
        try:
            yield stage
        finally:
            self._update(title, None)
        took = "cached" if stage.cached else _duration(time.perf_counter() - started)
        summary = f" · {escape(stage.summary)}" if stage.summary else ""
        self._print(f"[green]✓[/] {escape(title)} [dim]({took})[/]{summary}")

    def advance(self, title: str, done: int, total: int, text: str) -> None:
        """How far a running stage has come."""
        line = f"{done}/{total} · {text}" if text else f"{done}/{total}"
        if self._console.is_terminal:
            self._update(title, line)
        else:
            self._print(f"  {escape(title)} {escape(line)}")

    def close(self) -> None:
        """Take the live line away."""
        with self._lock:
            if self._status:
                self._status.stop()
                self._status = None

    def _print(self, text: str) -> None:
        if not self._quiet:
            with self._lock:
                self._console.print(text, soft_wrap=True, highlight=False)

    def _update(self, title: str, text: str | None) -> None:
        if self._quiet or not self._console.is_terminal:
            return
        with self._lock:
            if text is None:
                self._running.pop(title, None)
            else:
                self._running[title] = text
            line = "   ".join(f"{escape(name)} [dim]{escape(state)}[/]" for name, state in self._running.items())
            if not line:
                if self._status:
                    self._status.stop()
                self._status = None
            elif self._status:
                self._status.update(line)
            else:
                self._status = self._console.status(line)
                self._status.start()


class Stage:
    """One running stage, as the code inside it sees it."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress, self._title = progress, title
        self.cached = False
        self.summary = ""

    def advance(self, done: int, total: int, text: str = "") -> None:
        """Tell how far it has come: done of total, and one phrase."""
        self._progress.advance(self._title, done, total, text)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
