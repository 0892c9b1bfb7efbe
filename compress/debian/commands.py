"""Runs the tools that an installation needs, and says plainly what is missing or failed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from compress.errors import ToolError

TIMEOUT_S = 900.0
ERROR = re.compile(r"^E: |\berror: |^qemu", re.IGNORECASE)


def require(tool: str, purpose: str) -> str:
    """Path of a tool.

    Raises:
        ToolError: it is not on PATH.
    """
    if path := shutil.which(tool):
        return path
    raise ToolError(f"`{tool}` was not found on PATH, expected it {purpose}; install it")


def run(command: Sequence[str], *, purpose: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a tool in a folder; return what it printed.

    Args:
        command: program and arguments.
        purpose: what it is run for, in the words of an error message: "download the emulator".
        folder: working folder.
        environment: added to this process's.

    Raises:
        ToolError: it failed, or took longer than 15 minutes.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"could not {purpose}: `{command[0]}` was still running after {TIMEOUT_S:g} s, expected it to be done; "
            f"try again"
        ) from error
    if done.returncode:
        raise ToolError(
            f"could not {purpose}: `{Path(command[0]).name}` ended with status {done.returncode}: "
            f"{find_words(done.stdout)}; expected status 0; mend that and try again"
        )
    return done.stdout


def find_words(output: str) -> str:
    """The first line that calls itself an error, else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if ERROR.search(line)), lines[-1] if lines else "it said nothing")
