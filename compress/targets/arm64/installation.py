"""An installation of the emulated cores: where it is, what its key is, and how a program is run in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from compress.targets.arm64.core_root import list_files
from compress.targets.cores import CORES, Core
from compress.targets.installing import MANIFEST

HERE = Path(__file__).parent
PACKAGES_FILE = HERE / "packages.yaml"
WHEELS_FILE = HERE / "wheels.lock"
C_SOURCES = (HERE / "counter.c", HERE / "caches.c", HERE / "opcodes.c")
C_HEADERS = (HERE / "caches.h", HERE / "opcodes.h", HERE / "qemu_plugin.h")
PYTHON = "usr/bin/python3.11"

# Of the emulated Python, whole: the same on every machine, because the length of the environment moves the stack. Time
# zone and locale are named so that the host's are not looked up. NumPy's OpenBLAS would ask the emulated processor
# itself for its kind, and on an A64FX take kernels with SVE.
ENVIRONMENT: Mapping[str, str] = {
    "OPENBLAS_CORETYPE": "ARMV8",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONHASHSEED": "0",
    "PYTHONHOME": "/usr",
    "PYTHONPATH": "/site",
    "PYTHONUTF8": "1",
    "TZ": "UTC0",
}


@dataclass(frozen=True, kw_only=True)
class Arm64:
    """A finished installation.

    folder: holds emulator/, sysroot/, site/, counter.so and cores/NAME/, the root that a core's programs see.
    """

    folder: Path

    def command(
        self, core: Core, folder: Path, report: str, script: str, *, shared_cache_kib: int | None = None
    ) -> list[str]:
        """The command that runs a script in the emulated Python, counting.

        What the emulated program sees of it is the same wherever the installation and `folder` are.

        Args:
            core: which one to emulate.
            folder: the working folder that the command will be run in; a link to the interpreter is made there.
            report: file in `folder` that counts are appended to.
            script: file in `folder`.
            shared_cache_kib: also report the executed blocks, and the traffic of the core's caches before one of so
                many KiB, 0 for none, that all cores share.
        """
        root = self.folder / "cores" / core.name
        interpreter = folder / "python3"
        if not interpreter.is_symlink():
            interpreter.symlink_to(root / PYTHON)
        counter = f"{self.folder / 'counter.so'},out={folder / report}"
        if shared_cache_kib is not None:
            counter += f",blocks=on,caches={_describe_caches(core, shared_cache_kib)}"
        return [
            *_emulator(self.folder),
            *("-L", str(root), "-cpu", core.cpu, "-seed", "1", "-plugin", counter),
            # No bytecode is written: where the root has no such file, it would land in the host's own library.
            *(interpreter.name, "-B", "-S", "-P", script),
        ]


def _describe_caches(core: Core, shared_kib: int) -> str:
    """In the counter's words. The ways are those of most cores; what a model misses hardly depends on them."""
    levels = ((core.l1d_kib, 4), (core.l2_kib, 8), (shared_kib, 16))
    return "+".join(f"{kib}:{ways}" for kib, ways in levels if kib)


def _emulator(folder: Path) -> list[str]:
    """QEMU, started through its own loader, with its own libraries."""
    root = folder / "emulator"
    libraries = [str(root / "lib/x86_64-linux-gnu"), str(root / "usr/lib/x86_64-linux-gnu")]
    loader = root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    program = root / "usr/bin/qemu-aarch64"
    return [str(loader), "--inhibit-cache", "--library-path", ":".join(libraries), str(program)]


@cache
def compute_key() -> str:
    """Identity of what would be installed: a hash of the package lists, the counter's sources and the cores' emulation.

    What else is known of a core, such as its peak rates, may change without a new installation.
    """
    digest = hashlib.sha256()
    for path in (PACKAGES_FILE, WHEELS_FILE, *C_SOURCES, *C_HEADERS):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    emulation = {core.name: [core.cpu, list_files(core)] for core in CORES.values()}
    digest.update(json.dumps(emulation, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def locate(home: Path) -> Path:
    """The folder of the installation that this version of the package uses, whether it exists or not."""
    return home.absolute() / "arm64" / compute_key()


def find(home: Path) -> Arm64 | None:
    """The installation in `home` that this version of the package uses, None where there is none."""
    folder = locate(home)
    return Arm64(folder=folder) if (folder / MANIFEST).is_file() else None


def fingerprint(home: Path) -> str:
    """What the counts of an installation depend on: its key, and the exact packages that it was given.

    Raises:
        FileNotFoundError: there is none in `home`.
    """
    installed = (locate(home) / MANIFEST).read_bytes()
    return hashlib.sha256(compute_key().encode() + installed).hexdigest()


def load_packages() -> tuple[str, dict[str, list[str]]]:
    """The Debian release, and its packages by architecture."""
    content = yaml.safe_load(PACKAGES_FILE.read_text(encoding="utf-8"))
    return content["release"], {architecture: content[architecture] for architecture in ("amd64", "arm64")}
