"""ONNX Runtime's own format, for phones: an .onnx file optimised for ARM64, and what a reduced build must hold for it.

The runtime's own tool writes both, in a process of its own, because it opens the model.

- Style `Fixed`: all optimisation is done here. What style `Runtime` leaves to the phone leaves int8 in float there.
- Platform `arm`: int8 stays int8, and no layout of x86. On x86 such a file gives the same numbers, 3 to 4 times slower.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from compress.errors import ModelError

TOOL = "onnxruntime.tools.convert_onnx_models_to_ort"
OPTIONS = ("--optimization_style", "Fixed", "--target_platform", "arm", "--enable_type_reduction")
# The order in which the runtime writes what it keeps in hash tables follows from addresses. Not randomised, where the
# system allows it (ADDR_NO_RANDOMIZE), a file comes out the same every time.
STEADY = """
import ctypes, os, sys
ctypes.CDLL(None).personality(0x0040000)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
LEVEL = "ORT_CONVERT_ONNX_MODELS_TO_ORT_OPTIMIZATION_LEVEL"
TIMEOUT_S = 600
HEAD = "# For build.sh of ONNX Runtime: --include_ops_by_config THIS_FILE --enable_reduced_operator_type_support\n"


def to_ort(source: Path) -> tuple[bytes, str]:
    """An ONNX file as an .ort file; and the operators and types that it needs, one operator set a line.

    Args:
        source: the file; its name does not matter.

    Raises:
        ModelError: the tool refuses it, crashes, or takes too long.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(source, folder / "model.onnx")  # the tool follows links, and names what it writes after them
        steady = ["-c", STEADY] if sys.platform == "linux" else []
        command = [sys.executable, *steady, "-P", "-m", TOOL, "model.onnx", *OPTIONS, "--output_dir", "out"]
        environment = {key: value for key, value in os.environ.items() if key != LEVEL}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _refusal(source, f"was still at it after {TIMEOUT_S} s") from error
        if done.returncode:
            *_, words = ("it said nothing", *done.stdout.strip().splitlines())
            raise _refusal(source, f"ended with status {done.returncode}: {words}")
        needed = (folder / "out/model.required_operators_and_types.config").read_text(encoding="utf-8").splitlines()
        return (folder / "out/model.ort").read_bytes(), HEAD + "".join(
            f"{line}\n"
            for line in needed
            if not line.startswith("#")  # the tool names its files
        )


def _refusal(source: Path, what: str) -> ModelError:
    return ModelError(
        f"{source}: ONNX Runtime's converter to .ort {what}; expected a model that it can optimise; leave ort out of"
        " the recipe's variants"
    )
