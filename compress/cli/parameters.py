"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[Path, typer.Argument(help="A folder that `compress run` has written.", show_default=False)]
DevicePython = Annotated[str, typer.Option(help="Of ssh devices: the command of a Python there with the runtimes.")]
DevicePort = Annotated[int | None, typer.Option(min=1, max=65535, help="Of ssh devices, if not ~/.ssh/config's.")]
BenchmarkModel = Annotated[Path | None, typer.Option(help="Of adb devices: LiteRT's program for the phone, a file.")]
