"""The store itself: hands out a stage's finished files, or has them made."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from compress.store.files import DiskWatch, explain_disk, file_sha256, holder, make_folder, sign, sync, write_atomic
from compress.store.keys import canonical_json, stage_key
from compress.types import Json

MANIFEST = "manifest.json"
CHECKPOINT = "checkpoint"
_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """A finished stage.

    path: the folder with its files; nobody may write to it.
    key: see `stage_key`.
    cached: it was there already.
    files: name relative to `path` (POSIX) -> sha256.
    digest: sha256 over `files`: what a later stage names as its input.
    """

    path: Path
    key: str
    cached: bool
    files: Mapping[str, str]
    digest: str


class Store:
    """A folder of stage results; several processes may share it."""

    def __init__(self, root: Path, report: Callable[[str], None] | None = None) -> None:
        """Nothing is read or written yet.

        Args:
            root: made when it is needed.
            report: is told, in one sentence each, what a person should know (a damaged entry, a wait); default stderr.
        """
        self.root = root
        self._report = report or _to_stderr

    def stage(
        self,
        stage: str,
        config: Json,
        inputs: Mapping[str, str],
        code: str,
        libraries: Mapping[str, str],
        make: Callable[[Path], None],
    ) -> StageResult:
        """The stage's result: the stored one, if it is whole, else a new one.

        Args:
            stage: as in `stage_key`, like the next four: what the result depends on, and nothing else.
            config: the resolved settings.
            inputs: name -> sha256.
            code: see `code_version`.
            libraries: distribution -> version.
            make: writes the result's files into the folder it is given. That folder is empty, but for `checkpoint/`:
                what an earlier attempt left there, whether it was killed or failed; it is no part of the result.

        Raises:
            ToolError: the disk is full, read-only, or not ours to write.
            ValueError: `make` left nothing, an empty file, a link, or a file of the reserved name manifest.json.
            Whatever `make` raises.
        """
        made_from = {
            "stage": stage,
            "config": config,
            "inputs": dict(inputs),
            "code": code,
            "libraries": dict(libraries),
        }
        key = stage_key(stage, config, inputs, code, libraries)
        entry, work = self.root / "entries" / key, self.root / "work" / key
        with self._lock(key, stage):
            with explain_disk(entry):
                cached = self._is_whole(entry, key, stage)
            if not cached:
                with explain_disk(work):
                    _clear(work)
                with DiskWatch(work):
                    make(work)
                with explain_disk(work):
                    _commit(work, entry, key, made_from)
            # Here and not before the commit: a kill in between must not cost the training that it holds.
            shutil.rmtree(entry / CHECKPOINT, ignore_errors=True)
            return _result(entry, key, cached=cached)

    def _is_whole(self, entry: Path, key: str, stage: str) -> bool:
        """Whether the entry can be handed out; a damaged one is moved out of the way."""
        if not entry.exists():
            return False
        fault = find_fault(entry, key)
        if fault is None:
            return True
        folder = self.root / "quarantine"
        folder.mkdir(exist_ok=True)
        place = folder / f"{key}-{secrets.token_hex(4)}"
        entry.rename(place)
        self._report(f"{stage}: stored result {entry} is damaged: {fault}; moved to {place} and made again")
        return False

    @contextmanager
    def _lock(self, key: str, stage: str) -> Iterator[None]:
        path = self.root / "locks" / f"{key}.lock"
        with explain_disk(path):
            make_folder(path.parent)
            lock = FileLock(path)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                self._report(f"{stage}: another run{holder(path)} is making this result; waiting for it")
                lock.acquire()
        try:
            with explain_disk(path):
                sign(path)
            yield
        finally:
            lock.release()


def find_fault(entry: Path, key: str) -> str | None:
    """What is wrong with a finished entry, None if every byte is as its manifest and its key say.

    Args:
        entry: folder.
        key: which it must have.

    Raises:
        OSError: something there cannot be read.
    """
    try:
        data = (entry / MANIFEST).read_bytes()
        manifest = json.loads(data)
        wanted: dict[str, Json] = manifest["files"]
        faithful = stage_key(**manifest["made_from"]) == key
        faithful = faithful and _encode(_manifest(key, manifest["made_from"], wanted)) == data
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return f"it has no {MANIFEST}"
    except (ValueError, TypeError, KeyError):
        faithful = False
    if not faithful:
        return f"{MANIFEST} has been changed"
    found = _files(entry)
    for name in sorted(wanted.keys() ^ found.keys()):
        return f"{name} is missing" if name in wanted else f"{name} does not belong there"
    for name, file in found.items():
        if file.is_symlink() or not file.is_file() or _describe(file) != wanted[name]:
            return f"{name} has been changed"
    return None


def _clear(work: Path) -> None:
    """Make the work folder, empty but for its checkpoints."""
    work.mkdir(parents=True, exist_ok=True)
    for left in work.iterdir():
        if _is_folder(left):
            if left.name != CHECKPOINT:
                shutil.rmtree(left)
        else:
            left.unlink()


def _commit(work: Path, entry: Path, key: str, made_from: Json) -> None:
    """Check what a stage made, get it onto the disk, and only then give it its final name."""
    if (work / MANIFEST).exists():
        raise ValueError(f"{work}: a stage may not write {MANIFEST}; the store does")
    files = _files(work)
    if not files:
        raise ValueError(f"{work}: the stage left no files")
    for name, file in files.items():
        if file.is_symlink() or not file.is_file() or file.stat().st_size == 0:
            raise ValueError(f"{work}: the stage left {name}, which is empty or no regular file")
        sync(file)
    for folder in {file.parent for file in files.values()}:
        sync(folder)
    described = {name: _describe(file) for name, file in files.items()}
    write_atomic(work / MANIFEST, _encode(_manifest(key, made_from, described)))
    entry.parent.mkdir(exist_ok=True)
    work.rename(entry)
    sync(entry.parent)
    sync(work.parent)


def _files(folder: Path) -> dict[str, Path]:
    """Everything that is part of a result, by its name relative to the folder."""
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if not _is_folder(path)}
    return {name: path for name, path in names.items() if name != MANIFEST and not name.startswith(f"{CHECKPOINT}/")}


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _describe(file: Path) -> Json:
    return {"sha256": file_sha256(file), "size_bytes": file.stat().st_size}


def _manifest(key: str, made_from: Json, files: Json) -> Json:
    return {"schema_version": _SCHEMA_VERSION, "key": key, "made_from": made_from, "files": files}


def _encode(manifest: Json) -> bytes:
    return (json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _result(entry: Path, key: str, *, cached: bool) -> StageResult:
    manifest = json.loads((entry / MANIFEST).read_bytes())
    files = {name: described["sha256"] for name, described in manifest["files"].items()}
    digest = hashlib.sha256(canonical_json(files)).hexdigest()
    return StageResult(path=entry, key=key, cached=cached, files=files, digest=digest)


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr)
