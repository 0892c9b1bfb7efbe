"""What installations in the project's home share: whole or not at all, and wheels by their hashes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from compress.debian.commands import run
from compress.errors import ToolError

MANIFEST = "installed.json"
"""The file that a finished installation has."""


def build_once(target: Path, build: Callable[[Path], None]) -> None:
    """Build a folder, unless it is there.

    A process that is killed leaves nothing under the final name; two at once wait for each other.

    Args:
        target: `HOME/WHAT/KEY`; `HOME/WHAT` holds nothing but installations, and has its lock beside it.
        build: fills an empty folder, MANIFEST last.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent.with_name(f"{target.parent.name}.lock")):
        if (target / MANIFEST).is_file():
            return  # another process has just finished
        for leftover in target.parent.glob("unfinished-*"):
            shutil.rmtree(leftover)
        folder = Path(tempfile.mkdtemp(prefix="unfinished-", dir=target.parent))
        try:
            build(folder)
            os.sync()  # some thousand files: all must be on disk before the name says that they are
            folder.rename(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def require_pip(what: str) -> None:
    """Raise ToolError where there is no pip to download `what`."""
    if importlib.util.find_spec("pip") is None:
        raise ToolError(
            f"the Python package pip is missing in {sys.prefix}, expected it to download {what}; install it"
        )


def install_wheels(lock: Path, folder: Path, platforms: Sequence[str], what: str) -> None:
    """Unpack wheels for CPython 3.11, and no bytecode.

    Args:
        lock: names, versions and hashes.
        folder: gets the packages; must not exist.
        platforms: that the wheels may be made for.
        what: they are, for messages.

    Raises:
        ToolError: a wheel cannot be had, or is not the one that was locked.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-compile", "--no-deps"]
    command += ["--require-hashes", "--requirement", str(lock), "--target", folder.name]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]
    command += [argument for name in platforms for argument in ("--platform", name)]
    run(command, purpose=f"download {what}", folder=folder.parent)
