"""What a stage's result depends on, as one hash.

A key that forgets something hands out stale results, so it takes the code itself and not a version number that
somebody must remember to raise.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from compress.types import Json

_SOURCE_SUFFIXES = frozenset({".py", ".c", ".h", ".yaml", ".j2"})


def stage_key(stage: str, config: Json, inputs: Mapping[str, str], code: str, libraries: Mapping[str, str]) -> str:
    """Name of a stage's result.

    Args:
        stage: the stage's name.
        config: its resolved settings.
        inputs: name -> sha256 of each thing that it reads.
        code: see `code_version`.
        libraries: distribution -> version, of those that change the numbers.

    Returns:
        64 hexadecimal digits; the same for the same arguments, whatever the order of keys.

    Raises:
        TypeError, ValueError: see `canonical_json`.
    """
    parts = {
        "stage": stage,
        "config": config,
        "inputs": dict(inputs),
        "code": code,
        "libraries": dict(libraries),
    }
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def canonical_json(value: Json) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, ASCII; tuples are lists.

    Raises:
        TypeError: something that JSON does not have, or a key that is not text (JSON would merge 1 and "1").
        ValueError: NaN or an infinity.
    """
    _refuse_other_keys(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _refuse_other_keys(value: Json) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a key must be text, got {key!r}")
            _refuse_other_keys(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _refuse_other_keys(inner)


def code_version(*names: str) -> str:
    """Hash of the source of packages and modules; they are found, not imported.

    A package counts with everything below it: the names and bytes of its .py, .c, .h, .yaml and .j2 files. A module
    without a file of its own (one built into Python) counts by its name.

    Args:
        names: dotted names; order and repetition do not matter.

    Raises:
        ModuleNotFoundError: there is no such package or module.
    """
    digest = hashlib.sha256()
    for name in sorted(set(names)):
        for file, content in _sources(name):
            digest.update(canonical_json([name, file, hashlib.sha256(content).hexdigest()]))
    return digest.hexdigest()


def _sources(name: str) -> Iterator[tuple[str, bytes]]:
    spec = _find(name)
    if spec.submodule_search_locations is not None:
        for folder in map(Path, spec.submodule_search_locations):
            found = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*")}
            for relative, file in sorted(found.items()):
                if file.suffix in _SOURCE_SUFFIXES and file.is_file():
                    yield relative, file.read_bytes()
    elif spec.has_location and spec.origin:
        yield Path(spec.origin).name, Path(spec.origin).read_bytes()
    else:
        yield "", b""


def _find(name: str) -> ModuleSpec:
    """The module's spec. importlib.util.find_spec would import the parents, and they may import torch."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    full = top
    for part in rest:
        full = f"{full}.{part}"
        spec = PathFinder.find_spec(full, spec.submodule_search_locations) if spec else None
    if spec is None:
        raise ModuleNotFoundError(f"no module named {name!r}", name=name)
    return spec
