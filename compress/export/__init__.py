"""A torch graph in, a model file out; other files made from such a file; and what a file holds.

`export` and `derive` import torch, onnx and the converters only when they are called, because the audit's child process
starts here too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from compress.errors import ToolError

if TYPE_CHECKING:
    import torch

    from compress.types import Precision

__all__ = ["derive", "export"]

OPERATORS = "required_operators.config"
"""What `derive` writes beside an .ort file."""


def export(
    module: torch.nn.Module, precision: Precision, fmt: Literal["onnx", "tflite"], path: Path, example: torch.Tensor
) -> None:
    """Write `module` to `path`, atomically; the same module gives the same bytes in every process.

    Args:
        module: (n, C, H, W) float32 in, one tensor out. For int8 after calibration a graph with
            `torch.ops.quantized_decomposed` nodes: every quantised value passes quantize_per_tensor and
            dequantize_per_tensor with Python numbers, constants are integer buffers that pass dequantize_per_channel
            or dequantize_per_tensor. Export adds no quantisation of its own.
        precision: float16 stores weights in half precision; inputs and outputs stay float32.
        fmt: ONNX takes (batch, C, H, W) `input` and gives `logits`; TFLite takes one channel-last (1, H, W, C) `input`,
            which is int8 for a graph that quantises it.
        path: where; its folder must exist.
        example: (1, C, H, W) float32.

    Raises:
        ModelError: the converter refuses the module.
        ToolError: `path` cannot be written.
    """
    if fmt == "onnx":
        from compress.export.to_onnx import to_onnx

        content = to_onnx(module, precision, example)
    else:
        from compress.export.to_tflite import to_tflite

        content = to_tflite(module, precision, example)
    _write(path, content)


def derive(variant: Literal["ort", "unsigned", "float_io"], source: Path, path: Path) -> None:
    """Write a variant of a file to `path`, atomically; the same file gives the same bytes on the same machine.

    Args:
        variant: ort: ONNX Runtime's own format, optimised for ARM64, of any .onnx file; beside it, under the name
            OPERATORS, what a reduced build of the runtime must hold. unsigned: uint8 in place of int8, of an .onnx file
            whose activations are int8. float_io: float32 in and out of a .tflite file whose ends are int8.
        source: a file that `export` wrote.
        path: where; its folder must exist.

    Raises:
        ModelError: ONNX Runtime's converter refuses the file.
        ToolError: `path` cannot be written.
    """
    if variant == "ort":
        from compress.export.ort_file import to_ort

        content, operators = to_ort(source)
        _write(path.with_name(OPERATORS), operators.encode())
    elif variant == "unsigned":
        from compress.export.unsigned import to_unsigned

        content = to_unsigned(source.read_bytes())
    else:
        from compress.export.float_io import to_float_io

        content = to_float_io(source.read_bytes())
    _write(path, content)


def _write(path: Path, content: bytes) -> None:
    """Temporary file in the same folder, fsync, rename: under `path` there is a whole file or none."""
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise ToolError(
            f"cannot write {path}: {error.strerror}; expected a writable folder with {len(content)} bytes free; "
            "free some space or choose another folder"
        ) from error
