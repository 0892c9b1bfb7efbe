"""tflite-runtime 2.14, which older apps ship: an environment of its own, for this machine and for emulated cores.

It needs NumPy 1, and so cannot lie beside the runtimes that measure. An installation is folders of packages, one for
each kind of processor. The worker runs in the same Python as ever, with such a folder in the place of its own packages.
"""

from __future__ import annotations

import compileall
import hashlib
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compress.errors import ToolError
from compress.targets.installing import MANIFEST, build_once, install_wheels, require_pip

NAME = "tflite-runtime 2.14.0"
WHEELS_FILE = Path(__file__).with_name("tflite_runtime.lock")
PLATFORMS = {
    "x86_64": ("manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "aarch64": ("manylinux_2_34_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
}


@dataclass(frozen=True, kw_only=True)
class TfliteRuntime:
    """A finished installation. folder: holds x86_64/ and aarch64/."""

    folder: Path

    def site(self, target: str) -> Path:
        """The packages for `host` or for an emulated core."""
        return self.folder / (platform.machine() if target == "host" else "aarch64")


def locate(home: Path) -> Path:
    """The folder of the installation that this version of the package uses, whether it exists or not."""
    return home.absolute() / "tflite-runtime" / hashlib.sha256(WHEELS_FILE.read_bytes()).hexdigest()[:16]


def find(home: Path) -> TfliteRuntime | None:
    """The installation in `home`, None where there is none."""
    folder = locate(home)
    return TfliteRuntime(folder=folder) if (folder / MANIFEST).is_file() else None


def install(home: Path, progress: Callable[[str], None]) -> TfliteRuntime:
    """Install it in `home`, unless it is there; nothing outside `home` changes.

    Args:
        home: a folder; created if need be.
        progress: told each step in a few words.

    Raises:
        ToolError: this machine, pip, a registry or the room that it needs is missing.
    """
    if found := find(home):
        return found
    if sys.platform != "linux" or platform.machine() not in PLATFORMS:
        raise ToolError(
            f"this machine is {platform.system()} on {platform.machine()}, expected Linux on one of"
            f" {', '.join(PLATFORMS)} for {NAME}; use such a machine"
        )
    require_pip(NAME)
    try:
        build_once(locate(home), lambda folder: _build(folder, progress))
    except OSError as error:
        raise ToolError(
            f"could not install {NAME} in {home} ({error}), expected about 200 MB of room and permission to write; mend"
            " that and try again"
        ) from error
    return TfliteRuntime(folder=locate(home))


def _build(folder: Path, progress: Callable[[str], None]) -> None:
    progress(f"downloading {NAME}")
    for processor, platforms in PLATFORMS.items():
        install_wheels(WHEELS_FILE, folder / processor, platforms, NAME)
        compileall.compile_dir(folder / processor, quiet=2, rx=re.compile("/tests?/"))
    shutil.copyfile(WHEELS_FILE, folder / MANIFEST)
