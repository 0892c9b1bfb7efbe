"""Keeps house on a device while a connection to it lasts: a temporary folder, and what the device is.

Stand-alone, as the worker is; it is not copied to the device but read from the connection and run from memory.

- The first line on stdout is JSON: the folder, where ssh begins, the machine, Python's version and its packages.
- It then waits for the end of stdin, whether the connection was closed, dropped or killed. Then it ends what still
  works in the folder, and removes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from importlib import metadata
from pathlib import Path

PACKAGES = ("numpy", "ai-edge-litert", "tflite-runtime", "onnxruntime")
PROCESSORS = Path("/sys/devices/system/cpu")
BOARD = Path("/proc/device-tree/model")


def read(path: Path) -> str:
    """The text of a file; empty where it cannot be read, as in many a phone's /sys."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def find_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def describe_machine() -> dict[str, object]:
    """Processor, part numbers, usable cores, clock and its governor; what is not known is `unknown`."""
    lines = [line.partition(":") for line in read(Path("/proc/cpuinfo")).splitlines()]
    names = [value.strip() for key, _, value in lines if key.strip() == "model name"]
    parts = [value.strip() for key, _, value in lines if key.strip() == "CPU part"]
    governors = {read(path) for path in PROCESSORS.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    clocks = {read(path) for path in PROCESSORS.glob("cpu[0-9]*/cpufreq/cpuinfo_max_freq")} - {""}
    return {
        "processor": names[0] if names else platform.processor() or "unknown",
        "cpu_parts": {part: parts.count(part) for part in dict.fromkeys(parts)},
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "board": read(BOARD) or "unknown",
        "governor": ", ".join(sorted(governors)) or "unknown",
        "most_khz": ", ".join(sorted(clocks, key=lambda khz: (len(khz), khz))) or "unknown",
    }


def end_workers(folder: str) -> None:
    """Kill what was started in the folder: a job that nobody waits for would go on until its alarm."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == Path(folder).resolve():
                os.kill(int(process.name), signal.SIGKILL)


def leave(*_: object) -> None:
    sys.exit()


def keep() -> None:
    for name in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(name, leave)
    folder = tempfile.mkdtemp(prefix="compress-")
    try:
        found = {
            "folder": folder,
            "home": str(Path.cwd()),
            "python": platform.python_version(),
            "machine": describe_machine(),
            "packages": {package: find_version(package) for package in PACKAGES},
        }
        print(json.dumps(found), flush=True)
        sys.stdin.buffer.read()
    finally:
        end_workers(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    keep()
