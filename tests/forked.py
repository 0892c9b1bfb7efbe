"""Python programs in processes of their own that need not import torch and the converters first.

One process imports them once and is forked for every program. What a program does from then on, its signals, its files
and its exit code are its own; a test of what happens while modules are imported starts Python itself.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

IMPORTED = [
    "compress.bench",
    "compress.cli",
    "compress.export.to_onnx",
    "compress.pipeline",
    "compress.report.page",
    "compress.report.terminal",
    "litert_torch",
    "litert_torch.quantize.quant_config",
    "onnxruntime",
    "onnxscript.function_libs.torch_lib.ops",
    "sklearn.datasets",
    "torch.export._trace",
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(IMPORTED)


def start(
    *arguments: object, environment: Mapping[str, str], folder: Path, files: tuple[str, str] = (os.devnull, os.devnull)
) -> ForkServerProcess:
    """Start Python on `-m NAME ...` or `SCRIPT ...`, in a folder, at the head of a group of processes of its own.

    files: take what it writes to stdout and stderr.
    """
    process = _context.Process(target=_become, args=([*map(str, arguments)], dict(environment), str(folder), files))
    process.start()
    return process


def run(
    *arguments: object, environment: Mapping[str, str], folder: Path, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Start Python like `start`, and wait for its end."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = start(*arguments, environment=environment, folder=folder, files=(str(out), str(err)))
        process.join(timeout)
        if process.exitcode is None:
            os.killpg(process.pid or 0, signal.SIGKILL)
            raise subprocess.TimeoutExpired([*map(str, arguments)], timeout, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())


def _become(arguments: list[str], environment: dict[str, str], folder: str, files: tuple[str, str]) -> None:
    """Be Python, started on these arguments by a shell."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    first, *_ = arguments
    place = folder if first == "-m" else str(Path(folder, first).parent)
    sys.path[:0] = [place, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        if first == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(first, run_name="__main__")
    finally:
        atexit._run_exitfuncs()
