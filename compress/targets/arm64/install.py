"""Puts an installation of the emulated cores together: download, unpack, compile, try, then give it its name."""

from __future__ import annotations

import compileall
import json
import platform
import py_compile
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from compress.debian import apt
from compress.debian.commands import require, run
from compress.errors import ToolError
from compress.targets.arm64.compiler import compile_library, find_compiler
from compress.targets.arm64.core_root import make_core_root
from compress.targets.arm64.installation import (
    C_SOURCES,
    ENVIRONMENT,
    WHEELS_FILE,
    Arm64,
    find,
    load_packages,
    locate,
)
from compress.targets.cores import CORES
from compress.targets.installing import MANIFEST, build_once, install_wheels, require_pip

STILL_WORKS = "without the emulated ARM64 cores, measurements on `host` still work"
PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
)
# Files of /etc that are looked up and must not be the host's; an empty one of ours stands before it.
HOSTS_OWN = ("ld.so.cache", "ld.so.preload", "lsb-release", "os-release")
TRIAL = """
import ctypes, numpy
mark = ctypes.CDLL(None).syscall
mark(0x4d4b, 1)
mark(0x4d4b, 2)
"""


def install(home: Path, progress: Callable[[str], None]) -> Arm64:
    """Install the emulated ARM64 cores in `home`, unless they are there.

    Needs no root, and changes nothing outside `home`. A process that is killed leaves nothing under the final name;
    two at once wait for each other.

    Args:
        home: a folder; created if need be.
        progress: told each step in a few words.

    Raises:
        ToolError: this machine, or a tool, a registry or the room that it needs, is missing.
    """
    if found := find(home):
        return found
    try:
        _check_machine()
        build_once(locate(home), lambda folder: _build(folder, progress))
        return Arm64(folder=locate(home))
    except ToolError as error:
        raise ToolError(f"{error}; {STILL_WORKS}") from error
    except OSError as error:
        raise ToolError(
            f"could not install the emulated ARM64 cores in {home} ({error}), expected about 400 MB of room and "
            f"permission to write; mend that and try again; {STILL_WORKS}"
        ) from error


def _check_machine() -> None:
    """Raise ToolError at once for what no download could mend."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise ToolError(
            f"this machine is {platform.system()} on {platform.machine()}, expected Linux on x86_64 for the emulated "
            f"ARM64 cores; use such a machine"
        )
    find_compiler()
    require("dpkg-deb", "to unpack the ARM64 emulator and system")
    require_pip("the ARM64 runtimes")


def _build(folder: Path, progress: Callable[[str], None]) -> None:
    downloads = folder / "downloads"
    downloads.mkdir()
    progress("downloading the ARM64 emulator and system")
    release, packages = load_packages()
    names = [f"{name}:{architecture}" for architecture, names in packages.items() for name in names]
    archives = apt.download(names, downloads, release)
    for archive in archives:
        part = "emulator" if archive.stem.endswith("_amd64") else "sysroot"
        run(["dpkg-deb", "-x", str(archive), part], purpose=f"unpack {archive.name}", folder=folder)
    _keep_only(folder / "emulator/usr/bin", "qemu-aarch64")
    for name in HOSTS_OWN:
        (folder / "sysroot/etc" / name).touch()
    progress("downloading the ARM64 runtimes")
    install_wheels(WHEELS_FILE, folder / "site", PLATFORMS, "the ARM64 runtimes")
    progress("compiling the instruction counter")
    _compile_bytecode(folder)
    compile_library(C_SOURCES, folder / "counter.so")
    for core in CORES.values():
        make_core_root(core, folder / "cores" / core.name)
    progress("trying the emulator")
    _try_out(folder)
    shutil.rmtree(downloads)
    manifest = {"packages": [archive.stem for archive in archives], "wheels": WHEELS_FILE.read_text("utf-8")}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _keep_only(folder: Path, name: str) -> None:
    for path in folder.iterdir():
        if path.name != name:
            path.unlink()


def _compile_bytecode(folder: Path) -> None:
    """Compile the emulated Python's modules, named as it will see them: it starts faster, and always alike."""
    for root, seen_as in (("sysroot/usr/lib/python3.11", "/usr/lib/python3.11"), ("site", "/site")):
        compileall.compile_dir(
            folder / root,
            quiet=2,
            rx=re.compile("/tests?/"),
            stripdir=str(folder / root),
            prependdir=seen_as,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def _try_out(folder: Path) -> None:
    """Run one program that imports NumPy and makes the counter's marks.

    Raises:
        ToolError: it fails, or nothing is counted.
    """
    place = folder / "downloads/trial"
    place.mkdir()
    (place / "trial.py").write_text(TRIAL)
    command = Arm64(folder=folder).command(next(iter(CORES.values())), place, "counts.jsonl", "trial.py")
    run(
        ["env", "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items()), *command],
        purpose="run a program in the ARM64 emulator",
        folder=place,
    )
    if not (place / "counts.jsonl").is_file():
        raise ToolError(
            f"the ARM64 emulator runs, but counts nothing, expected a line in {place}/counts.jsonl; "
            f"remove `{folder.parent}` and install again"
        )
