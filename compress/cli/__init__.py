"""The command line. Heavy imports live inside the commands, so that `--help` answers at once.

- `run_command`: a recipe, from teacher to verdict.
- `folder_commands`: what is done with the folder of a finished run.
- `target_commands`: model files on what they run on, and what that is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from compress import __version__
from compress.cli.folder_commands import compare, gate, report, verify
from compress.cli.run_command import run
from compress.cli.target_commands import bench, calibrate, devices, doctor
from compress.ending import run_to_end

COMMANDS: tuple[Callable[..., None], ...] = (run, gate, report, compare, verify, bench, devices, calibrate, doctor)

app = typer.Typer(
    name="compress",
    help="Distil, quantise and export models for phones, and prove that they are good enough to ship.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 pass, 1 gate failed, 2 usage or recipe error, 3 bad data or model, 4 environment or tool"
    " missing, 5 no verdict, 70 internal bug, 75 another run holds the lock, 130/143 interrupted.",
)
for command in COMMANDS:
    app.command()(command)


def _version(show: bool) -> None:
    if show:
        print(f"compress {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Entry point."""
    sys.path.append(str(Path.cwd()))  # so that a recipe finds the modules beside which the command is typed
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would call home and write into the user's cache folder
    run_to_end(app)
