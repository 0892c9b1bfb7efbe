"""Tells a model file from what often lies under its name instead, before any runtime opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from compress.errors import ModelError

Runtime = Literal["litert", "onnxruntime"]

RUNTIMES: dict[str, Runtime] = {".tflite": "litert", ".onnx": "onnxruntime", ".ort": "onnxruntime"}
MAGIC = {".tflite": b"TFL3", ".ort": b"ORTM"}
"""Bytes 4 to 8. ONNX has none: whether such a file parses is left to the runtime."""
HEAD_BYTES = 512


def choose_runtime(model: Path) -> Runtime:
    """The runtime that opens a model file, by its ending, once its first bytes agree.

    Raises:
        ModelError: another ending, not a file, empty, a web page, a Git LFS pointer, or another format's magic.
    """
    runtime = RUNTIMES.get(model.suffix)
    if runtime is None:
        raise ModelError(
            f"{model}: unknown kind of model file {model.suffix!r}, expected .onnx, .ort or .tflite; export it to one"
        )
    try:
        with model.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise ModelError(
            f"{model}: cannot be read ({error.strerror}), expected a {model.suffix} file; check the path"
        ) from error
    if found := _describe_impostor(head, model.suffix):
        raise ModelError(f"{model}: {found}, expected a {model.suffix} model; download or export it again")
    return runtime


def _describe_impostor(head: bytes, ending: str) -> str | None:
    if not head:
        return "is empty"
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page"
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file it points to"
    if ending in MAGIC and head[4:8] != MAGIC[ending]:
        return f"starts with {head[:8]!r}, not as {ending} files do"
    return None
