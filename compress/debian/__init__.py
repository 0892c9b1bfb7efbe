"""Debian packages, downloaded through the system's apt and unpacked privately: no root, nothing installed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from compress.debian.apt import download
from compress.debian.commands import require, run

RELEASE = "bookworm"


def fetch_packages(packages: Sequence[str], folder: Path, find_fault: Callable[[Path], str | None]) -> None:
    """Unpack packages below `folder`, which appears whole or not at all.

    A folder that is there already stays, unless it has a fault. Then it is put aside as NAME.damaged-1, -2, ..., once
    the new one is ready to take its place, and one line on stderr says so.

    Args:
        packages: names of Debian 12, without what they depend on.
        folder: gets the packages' files by their absolute paths (`usr/share/…`).
        find_fault: what is wrong with the folder that is there and what to do, namely this; None where it is whole.

    Raises:
        ToolError: apt-get or dpkg is missing, or a package cannot be downloaded.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Under the lock: of two processes that have seen the fault, the second finds the folder mended.
    with FileLock(folder.parent / f".{folder.name}.lock"), tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        fault = find_fault(folder) if folder.exists() else None
        if folder.exists() and fault is None:
            return
        files = _unpack(packages, Path(temporary))
        place = _choose_place(folder)
        if fault is not None:
            folder.rename(place)
        files.rename(folder)
        if fault is not None:
            print(f"{fault}; done, what was there is in {place}", file=sys.stderr)


def _unpack(packages: Sequence[str], work: Path) -> Path:
    dpkg = require("dpkg", "to unpack Debian packages")
    (work / "download").mkdir()
    (work / "files").mkdir()
    for package in download(packages, work / "download", RELEASE):
        run([dpkg, "-x", str(package), str(work / "files")], purpose=f"unpack {package.name}", folder=work)
    return work / "files"


def _choose_place(folder: Path) -> Path:
    taken = sum(1 for _ in folder.parent.glob(f"{folder.name}.damaged-*"))
    return folder.with_name(f"{folder.name}.damaged-{taken + 1}")
