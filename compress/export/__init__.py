"""A torch graph in, a model file out; and what such a file holds.

`export` imports torch and the converters only when it is called, because the audit's child process starts here too.
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

__all__ = ["export"]


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
