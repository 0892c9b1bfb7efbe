"""The folder that a run leaves behind: models, results.json, reports, and a manifest that is written last.

- A folder without `manifest.json` is unfinished. Every file gets its final name only when it is whole.
- The manifest's `identity` is the hash of all that a repetition on the same machine type gives again: the models and
  every measurement but wall-clock times (and ONNX Runtime's counts, and what is counted on several threads, which
  repeat within 0.1 and some 2 % and not exactly; so do predictions that rest on them).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from compress import __version__
from compress.errors import DataError, NoVerdictError, RecipeError
from compress.recipe import Recipe
from compress.store import file_sha256, folder_lock, write_atomic
from compress.store.files import UNFINISHED, explain_disk
from compress.types import SCHEMA_VERSION, Json, Measurement, Results

MANIFEST = "manifest.json"
RESULTS = "results.json"


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than a run, before any time is spent.

    Raises:
        RecipeError: it is not empty, and no run wrote it.
        ToolError: it cannot be looked into.
    """
    with explain_disk(folder):
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        names -= {name for name in names if name.startswith(".") and name.endswith(UNFINISHED)}  # a killed run's
        ours = _is_manifest(folder / MANIFEST) or _is_results(folder / RESULTS) or _is_unfinished(names)
    strange = sorted(names - {".lock"})
    if strange and not ours:
        raise RecipeError(
            f"{folder}: holds {strange[0]} and is no run's folder; expected a new, an empty or an older run's"
            " folder; choose another with --output"
        )


def find_other_recipe(folder: Path, recipe: Recipe) -> str | None:
    """The file of the recipe whose run is in a folder, if it is another one than this: two recipes may have one name.

    An edited recipe is the same one; a file in another place is another, unless it has the same bytes.
    """
    try:  # of whatever version, finished or not
        found = json.loads((folder / RESULTS).read_text())["provenance"]["recipe"]
        if found["sha256"] != recipe.sha256 and Path(found["path"]).resolve() != recipe.path.resolve():
            return str(found["path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no run's, damaged, or of a version that did not write it down
    return None


def write_run(folder: Path, results: Results, models: Mapping[str, Path]) -> None:
    """Write everything a run leaves; the manifest goes first and comes last.

    Args:
        folder: made if need be; an older run in it is replaced, other files in it stay.
        results: of the run.
        models: path relative to the folder -> the file to copy there.
    """
    content = {name: source.read_bytes() for name, source in models.items()}
    content[RESULTS] = results.to_json().encode()
    content |= _draw(results)
    manifest = _manifest(results, content)
    if _is_whole(folder, manifest):
        return
    # The older run's own files go while its manifest still lists them: a kill in between leaves no stray model.
    with explain_disk(folder):
        for name in _listed(folder) - set(content):
            (folder / name).unlink(missing_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
    for name, data in content.items():
        write_atomic(folder / name, data)
    write_atomic(folder / MANIFEST, manifest.encode())


def write_reports(folder: Path) -> tuple[Path, ...]:
    """Draw the reports again from results.json alone, and bring the manifest up to date.

    Raises:
        NoVerdictError, DataError: as `load_results`.
        LockedError: a run writes to the folder.
        ToolError: the folder cannot be written.
    """
    _read_manifest(folder)  # before the lock, which would make a folder that is not there
    with folder_lock(folder):
        drawn = _draw(load_results(folder))
        listed = _read_manifest(folder)
        for name, data in drawn.items():
            write_atomic(folder / name, data)
            listed["files"][name] = _entry(data)
        write_atomic(folder / MANIFEST, _text(listed).encode())
    return tuple(folder / name for name in drawn)


def load_results(folder: Path) -> Results:
    """results.json of a finished run, held against its manifest.

    Raises:
        NoVerdictError: the run is unfinished.
        DataError: results.json is not the one that the run wrote, or cannot be understood.
    """
    path = folder / RESULTS
    listed = _read_manifest(folder)["files"]
    if RESULTS not in listed or not _holds(path, listed[RESULTS]["sha256"]):
        raise DataError(f"{path}: missing or changed; expected the file of the manifest; run the recipe again")
    try:
        return Results.load(path)
    except (ValueError, OSError) as error:
        raise DataError(
            f"{path}: {error}; expected what `compress run` of this version wrote; run the recipe again"
        ) from error


def check_artifacts(folder: Path, results: Results) -> None:
    """Refuse to judge a folder whose model files are not those that were measured.

    Raises:
        DataError: a file is missing or changed.
    """
    bad = [each.path for each in results.artifacts if not _holds(folder / each.path, each.sha256)]
    if bad:
        raise DataError(
            f"{folder}: {', '.join(bad)} missing or changed; expected the files that were measured; run the recipe"
            " again"
        )


def verify_manifest(folder: Path) -> int:
    """How many files the manifest lists, all of them as it says.

    Raises:
        NoVerdictError: there is no manifest: the run is unfinished.
        DataError: a file is missing, changed, or the manifest cannot be read.
    """
    files = _read_manifest(folder)["files"]
    bad = [name for name, entry in files.items() if not _holds(folder / name, entry["sha256"])]
    if bad:
        raise DataError(
            f"{folder}: {', '.join(bad)} missing or changed; expected the files of the manifest; run the recipe again"
        )
    return len(files)


def _draw(results: Results) -> dict[str, bytes]:
    from compress.report import html, junit, markdown

    drawn = {"report.html": html(results), "report.md": markdown(results), "junit.xml": junit(results)}
    return {name: text.encode() for name, text in drawn.items()}


def _read_manifest(folder: Path) -> dict[str, Json]:
    path = folder / MANIFEST
    if not path.is_file():
        raise NoVerdictError(
            f"{folder}: no {MANIFEST}; expected a folder that `compress run` finished; run its recipe (again)"
        )
    try:
        manifest = json.loads(path.read_text())
        for name, entry in manifest["files"].items():
            if Path(name).is_absolute() or ".." in Path(name).parts or not isinstance(entry["sha256"], str):
                raise ValueError(f"entry {name!r}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a manifest ({error}); expected one of `compress run`; run it again") from error
    return dict(manifest)


def _listed(folder: Path) -> set[str]:
    try:
        return set(_read_manifest(folder)["files"])
    except (NoVerdictError, DataError):
        return set()


def _manifest(results: Results, content: Mapping[str, bytes]) -> str:
    return _text(
        {
            "schema_version": SCHEMA_VERSION,
            "compress": __version__,
            "name": results.name,
            "identity": _identity(results),
            "files": {name: _entry(data) for name, data in content.items()},
        }
    )


def _entry(data: bytes) -> Json:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}


def _text(manifest: Json) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True) + "\n"


def _identity(results: Results) -> str:
    lasting = [dataclasses.asdict(m) for m in results.measurements if not _varies(m)]
    content = {"artifacts": [dataclasses.asdict(a) for a in results.artifacts], "measurements": lasting}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _varies(measurement: Measurement) -> bool:
    if measurement.metric == "latency_ms":
        return True
    counted = measurement.metric in ("instructions", "executed_macs", "predicted_latency_ms")
    return counted and (measurement.runtime.startswith("onnxruntime") or measurement.details.get("threads", 1) > 1)


def _is_whole(folder: Path, manifest: str) -> bool:
    try:
        return (folder / MANIFEST).read_text() == manifest and verify_manifest(folder) > 0
    except (OSError, ValueError, DataError):
        return False


def _is_manifest(path: Path) -> bool:
    """Whether a run wrote it: other programs have files of that name too."""
    try:
        return {"schema_version", "identity"} <= _read_manifest(path.parent).keys()
    except (NoVerdictError, DataError):
        return False


def _is_results(path: Path) -> bool:
    """Whether a run wrote it, of this version or another."""
    try:
        content = json.loads(path.read_text()) if path.is_file() else None
    except ValueError:
        return False
    return isinstance(content, dict) and {"schema_version", "artifacts", "verdicts"} <= content.keys()


def _is_unfinished(names: set[str]) -> bool:
    """Whether a run that was killed while it wrote may have left these; its results.json would be whole."""
    return names <= {".lock", "models", "report.html", "report.md", "junit.xml"} and ".lock" in names


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256
