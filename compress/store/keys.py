"""What a stage's result depends on, as one hash.

A key that forgets something hands out stale results, so it takes the code itself and not a version number that
somebody must remember to raise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from compress.store.imports import find_module, find_owner, follow_imports, is_followed
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

    A name of this package counts with everything below it (the names and bytes of its .py, .c, .h, .yaml and .j2 files)
    and with nothing that it imports: each stage lists the rooms that decide its numbers, and what is not listed, such
    as the report, may change freely. Any other name, and one in compress.models, is what a recipe plugs in: a module
    of the user's counts with what it imports (see `compress.store.imports`), an installed one with the whole package it
    is in, because teams reinstall a package under the version it had. A module without a file of its own (one built
    into Python) counts by its name.

    Args:
        names: dotted names; order and repetition do not matter.

    Raises:
        ModuleNotFoundError: there is no such package or module.
    """
    digest = hashlib.sha256()
    for name in sorted(set(names)):
        parts = sorted({*_tree(name), *(follow_imports(name) if is_followed(name) else ())})
        for part, content in parts:
            digest.update(canonical_json([name, part, hashlib.sha256(content).hexdigest()]))
    return digest.hexdigest()


def _tree(name: str) -> Iterator[tuple[str, bytes]]:
    """A module's file, or a package's files; for what is installed, those of its topmost package."""
    spec = find_module(name)
    if spec is None:
        raise ModuleNotFoundError(f"no module named {name!r}", name=name)
    top = name.partition(".")[0]
    if top not in (name, "compress") and find_owner(name) == "installed":
        yield from _tree(top)
    elif spec.submodule_search_locations is not None:
        for folder in map(Path, spec.submodule_search_locations):
            for file in folder.rglob("*"):
                if file.suffix in _SOURCE_SUFFIXES and file.is_file():
                    yield file.relative_to(folder).as_posix(), file.read_bytes()
    elif spec.has_location and spec.origin:
        yield Path(spec.origin).name, Path(spec.origin).read_bytes()
    else:
        yield "", b""
