"""Where the commands print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def open_console() -> Console:
    """As wide as the terminal; 100 columns in a file or pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100)
