"""Debian packages, downloaded through the system's apt and unpacked privately: no root, nothing installed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from compress.debian.apt import download
from compress.debian.commands import require, run

RELEASE = "bookworm"


def fetch_packages(packages: Sequence[str], folder: Path) -> None:
    """Unpack packages below `folder`, which appears whole or not at all.

    Args:
        packages: names of Debian 12, without what they depend on.
        folder: gets the packages' files by their absolute paths (`usr/share/…`); nothing is done if it is there.

    Raises:
        ToolError: apt-get or dpkg is missing, or a package cannot be downloaded.
    """
    dpkg, folder = require("dpkg", "to unpack Debian packages"), folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"), tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        if folder.exists():
            return
        work = Path(temporary)
        (work / "download").mkdir()
        (work / "files").mkdir()
        for package in download(packages, work / "download", RELEASE):
            run([dpkg, "-x", str(package), str(work / "files")], purpose=f"unpack {package.name}", folder=work)
        (work / "files").rename(folder)
