"""Measured rows are kept below the project's home, so that a script that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from compress.home import default_home
from compress.store import canonical_json, code_version, stage_key

LIBRARIES = ("torch", "onnxruntime", "ai-edge-litert", "ai-edge-quantizer")
Rows = list[dict[str, Any]]


def keep(script: str, settings: dict[str, Any], measure: Callable[[], Rows]) -> Rows:
    """Rows that were kept, or are measured now.

    Args:
        script: whose rows.
        settings: all that they depend on beside the code and the libraries; JSON-able.
        measure: makes them.
    """
    code = code_version("compress.quantize", "compress.export")
    key = stage_key(script, settings, {}, code, {name: version(name) for name in LIBRARIES})
    path: Path = default_home() / "benchmarks" / script / f"{key}.json"
    if path.exists():
        kept: Rows = json.loads(path.read_text())
        return kept
    rows = measure()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(canonical_json(rows))
    temporary.replace(path)
    return rows
