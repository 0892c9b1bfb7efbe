"""The folder that a run leaves behind: models, results.json, reports, and a manifest that is written last.

- A folder without `manifest.json` is unfinished. Every file gets its final name only when it is whole.
- The manifest's `identity` is the hash of all that a repetition on the same machine type gives again: the models and
  every measurement but wall-clock times (and ONNX Runtime's counts, which repeat within 0.1 % and not exactly).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from compress import __version__
from compress.errors import DataError, NoVerdictError
from compress.store import file_sha256, write_atomic
from compress.types import SCHEMA_VERSION, Json, Measurement, Results

MANIFEST = "manifest.json"
RESULTS = "results.json"


def write_run(folder: Path, results: Results, models: Mapping[str, Path]) -> None:
    """Write everything a run leaves.

    Args:
        folder: made if need be; an older run in it is replaced.
        results: of the run.
        models: path relative to the folder -> the file to copy there.
    """
    manifest = folder / MANIFEST
    text = results.to_json()
    if manifest.exists() and _is_current(folder, text, models):
        return
    manifest.unlink(missing_ok=True)
    shutil.rmtree(folder / "models", ignore_errors=True)
    for name, source in models.items():
        write_atomic(folder / name, source.read_bytes())
    write_atomic(folder / RESULTS, text.encode())
    reports = write_reports(folder, results)
    files = [*(folder / name for name in models), folder / RESULTS, *reports]
    write_atomic(manifest, _manifest(folder, results, files).encode())


def write_reports(folder: Path, results: Results) -> tuple[Path, ...]:
    """Draw report.html, report.md and junit.xml from results alone.

    A manifest that is there already is brought up to date, so that a redrawn report still verifies.
    """
    from compress.report import html, junit, markdown

    written = []
    for name, draw in (("report.html", html), ("report.md", markdown), ("junit.xml", junit)):
        write_atomic(folder / name, draw(results).encode())
        written.append(folder / name)
    manifest = folder / MANIFEST
    if manifest.exists():
        files = [folder / name for name in json.loads(manifest.read_text())["files"]]
        write_atomic(manifest, _manifest(folder, results, files).encode())
    return tuple(written)


def load_results(folder: Path) -> Results:
    """results.json of a run.

    Raises:
        NoVerdictError: there is none, or the run is unfinished.
        DataError: it cannot be understood.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise NoVerdictError(
            f"{folder}: no {RESULTS}; expected a folder that `compress run` finished; run its recipe first"
        )
    try:
        return Results.load(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: {error}; expected what `compress run` wrote; run the recipe again") from error


def verify_manifest(folder: Path) -> int:
    """How many files the manifest lists, all of them as it says.

    Raises:
        NoVerdictError: there is no manifest: the run is unfinished.
        DataError: a file is missing, changed, or the manifest cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise NoVerdictError(f"{folder}: no {MANIFEST}; the run is unfinished; run the recipe again")
    try:
        files: dict[str, Json] = json.loads(path.read_text())["files"]
        expected = {name: entry["sha256"] for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a manifest ({error}); expected one of `compress run`; run it again") from error
    bad = [name for name, sha256 in expected.items() if not _holds(folder / name, sha256)]
    if bad:
        raise DataError(
            f"{folder}: {', '.join(bad)} missing or changed; expected the files of the manifest; run the recipe again"
        )
    return len(expected)


def _manifest(folder: Path, results: Results, files: list[Path]) -> str:
    entries = {
        path.relative_to(folder).as_posix(): {"sha256": file_sha256(path), "size_bytes": path.stat().st_size}
        for path in files
    }
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "compress": __version__,
        "name": results.name,
        "identity": _identity(results),
        "files": entries,
    }
    return json.dumps(manifest, indent=1, sort_keys=True) + "\n"


def _identity(results: Results) -> str:
    lasting = [dataclasses.asdict(m) for m in results.measurements if not _varies(m)]
    content = {"artifacts": [dataclasses.asdict(a) for a in results.artifacts], "measurements": lasting}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _varies(measurement: Measurement) -> bool:
    if measurement.metric == "latency_ms":
        return True
    counted = measurement.metric in ("instructions", "executed_macs")
    return counted and measurement.runtime.startswith("onnxruntime")


def _is_current(folder: Path, text: str, models: Mapping[str, Path]) -> bool:
    try:
        listed = json.loads((folder / MANIFEST).read_text())["files"]
        verify_manifest(folder)
    except (OSError, ValueError, KeyError, DataError):
        return False
    same_results = listed.get(RESULTS, {}).get("sha256") == hashlib.sha256(text.encode()).hexdigest()
    return (
        same_results
        and set(models) <= set(listed)
        and all(listed[name]["sha256"] == file_sha256(source) for name, source in models.items())
    )


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and os.access(path, os.R_OK) and file_sha256(path) == sha256
