"""What was measured is kept below the project's home, so that a script that was stopped goes on where it was.

Under a hash of all that it depends on: a table is printed again in seconds, and nothing that has changed is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from compress.home import default_home
from compress.store import canonical_json, code_version, stage_key, write_atomic

LIBRARIES = ("torch", "onnxruntime", "ai-edge-litert", "ai-edge-quantizer")
"""What decides the figures of a file."""

Kept = TypeVar("Kept")


def keep(
    script: str,
    settings: dict[str, object],
    measure: Callable[[Path], Kept],
    *,
    code: Sequence[str],
    libraries: Sequence[str] = LIBRARIES,
) -> Kept:
    """What was kept, or is measured now.

    Args:
        script: whose figures; its code counts, with the modules beside it that it imports.
        settings: all else that they depend on; JSON-able.
        measure: makes them, JSON-able; it is given a folder for checkpoints that outlives an interruption.
        code: packages and modules that decide them.
        libraries: distributions that decide them.
    """
    key = stage_key(script, settings, {}, code_version(script, *code), {name: version(name) for name in libraries})
    work = default_home() / "benchmarks" / script / key
    path = work.with_suffix(".json")
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        write_atomic(path, canonical_json(measure(work)))
    kept: Kept = json.loads(path.read_bytes())
    return kept
