"""What is inside a model file: operators, integers and floats, multiply-accumulates, bytes by part.

Reads the file only and needs no torch. A malformed file can crash whatever parses it, so that the program calls
`audit_in_child`; `audit` is what runs inside the child (`python -m compress.export.audit FILE`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from compress.errors import ModelError
from compress.types import Json

__all__ = ["audit", "audit_in_child"]


def audit(path: Path) -> Json:
    """Read one `.onnx`, `.tflite` or `.ort` file.

    Returns:
        JSON-able table, of an `.ort` file its format, size_bytes, ops and weights_by_dtype alone:
        format, size_bytes, opset (ONNX) or schema_version (TFLite);
        inputs, outputs: [{name, shape, dtype, scale, zero_point}], None for a dynamic dimension and in float tensors;
        ops: operator -> count; ops_by_dtype: dtype of the first output -> count of compute operators;
        compute_ops: operators that are neither quantisation, casts, nor arithmetic on shapes;
        int8_ops, int8_op_share: those among them whose data goes in and out as int8 or uint8 (ONNX: from
            DequantizeLinear, to QuantizeLinear, a clip between which runtimes fuse counting with its operator; or an
            integer product such as QLinearConv or MatMulInteger);
        float_islands: names of the compute operators that are not among them, in a file that has any;
        quantize_ops, dequantize_ops, transposes: counts; dequantised weights do not count;
        conversions: those quantisations and dequantisations that a runtime cannot fuse into an integer operator;
        macs: multiply-accumulates of one inference in convolutions and matrix products; without those of
        unknown_ops: operator -> count, where its kind or a shape does not say how many it has;
        parameters: elements of weights and biases; weights_by_dtype: dtype -> elements of weights;
        bytes: weights, biases, quantization (scales and zero points), metadata, graph (the rest), in all size_bytes.

    Raises:
        ModelError: the file is missing, empty, truncated or no model.
    """
    content = _read(path)
    if content[4:8] == b"TFL3":
        from compress.export.audit.tflite import audit_tflite

        return audit_tflite(content, path)
    if content[4:8] == b"ORTM":
        from compress.export.audit.ort import audit_ort

        return audit_ort(content)
    from compress.export.audit.onnx import audit_onnx

    return audit_onnx(content, path)


def audit_in_child(path: Path, timeout_s: float = 60, memory_bytes: int = 4 << 30) -> Json:
    """`audit` in a child process, which may crash, hang or eat memory in our place.

    Args:
        path: the model file.
        timeout_s: wall time until the child is killed.
        memory_bytes: limit of the child's address space.

    Raises:
        ModelError: with one line, whatever is wrong with the file.
    """
    command = [sys.executable, "-m", "compress.export.audit", str(path), "--memory-bytes", str(memory_bytes)]
    package_parent = str(Path(__file__).parents[3])
    search = os.pathsep.join(filter(None, (package_parent, os.environ.get("PYTHONPATH"))))
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "PYTHONPATH": search},
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"reading {path} took more than {timeout_s:g} s; expected a model file; export it again"
        ) from error
    if child.returncode == 0:
        return json.loads(child.stdout)
    if child.returncode == ModelError.exit_code:
        raise ModelError(child.stderr.strip().splitlines()[-1])
    cause = f"exit code {child.returncode}"
    if child.returncode < 0:
        cause = signal.Signals(-child.returncode).name
    raise ModelError(f"{path} crashes its reader ({cause}); expected a model file; export it again")


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}; expected a model file; check the path") from error
    if not content:
        raise ModelError(f"{path} is empty; expected an ONNX or TFLite model; export it again")
    start = content[:256].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ModelError(f"{path} is a web page, not a model; expected an ONNX or TFLite file; download it again")
    return content
