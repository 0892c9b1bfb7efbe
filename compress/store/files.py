"""Files that are whole or not there, folders that one process holds, and disks that say what is wrong with them."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from compress.errors import CompressError, LockedError, ToolError

UNFINISHED = ".part~"
"""Ending of a file that is being written; only a kill leaves one behind."""

_FULL_BYTES = 2**20
"""A disk with less free space than this counts as full, if something has just failed."""

_ADVICE = {
    errno.ENOSPC: "free some space there and run the same command again; finished stages are kept",
    errno.EDQUOT: "raise the quota or free some space, and run the same command again; finished stages are kept",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), and run the same command again",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.EACCES: "choose a folder that you may write, or change its permissions",
    errno.EPERM: "choose a folder that you may write, or change its permissions",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder, or move that file away",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder, or move that file away",
    errno.EISDIR: "a folder stands where a file is needed; choose another place, or move that folder away",
    errno.ELOOP: "its links lead round in a circle; choose another folder, or mend the links",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EIO: "the disk fails; choose a folder on another one",
}


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that has all its bytes or does not exist (or keeps its old ones), whenever the power goes.

    Args:
        path: its final name; missing folders on the way are made.
        data: all of it.

    Raises:
        ToolError: the disk is full or cannot be written.
    """
    with explain_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's list of names, are on the disk.

    Raises:
        OSError: as os.fsync.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes; the lock of a process that has died does not count.

    What a killed process left half-written in the folder is removed.

    Args:
        folder: made if need be; the lock is its file `.lock`, which stays, unless the folder would hold nothing else:
            then what was made goes again.

    Raises:
        LockedError: another process holds it.
        ToolError: the folder cannot be made or written.
    """
    path = folder / ".lock"
    with explain_disk(folder):
        made = make_folder(folder)
        lock = FileLock(path)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            message = f"{folder}: another run{holder(path)} writes to this folder; expected to be alone"
            raise LockedError(f"{message}; wait until it ends, or choose another folder with -o") from error
    try:
        with explain_disk(folder):
            sign(path)
            for unfinished in folder.rglob(f".*{UNFINISHED}"):
                unfinished.unlink(missing_ok=True)
        yield
    finally:
        _remove_unused(made, path)
        lock.release()


def make_folder(folder: Path) -> list[Path]:
    """Make it; returns what had to be made, the innermost first.

    Raises:
        OSError: as Path.mkdir.
        ToolError: there are no folders in that place, such as /proc.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise ToolError(f"{folder}: cannot be made; expected a place for folders; choose another") from error
    return made


def _remove_unused(made: list[Path], lock_file: Path) -> None:
    """Remove the folders of a run that came to nothing. Still locked: who waits for the lock must not find it half."""
    with suppress(OSError):
        if made and not any(other.name != lock_file.name for other in lock_file.parent.iterdir()):
            lock_file.unlink()
            for place in made:
                place.rmdir()


def sign(lock_file: Path) -> None:
    """Write down in a lock file, which we hold, who holds it.

    Raises:
        OSError: it cannot be written.
    """
    lock_file.write_text(f"{os.getpid()}\n")


def holder(lock_file: Path) -> str:
    """` (process 1234)`, or nothing where the holder has not signed."""
    with suppress(OSError, ValueError):
        return f" (process {int(lock_file.read_text())})"
    return ""


@contextmanager
def explain_disk(place: Path) -> Iterator[None]:
    """Let errors of the disk reach the user as one clear line; other errors pass as they are.

    Args:
        place: what was about to be written, for errors that do not name a file.

    Raises:
        ToolError: the disk is full, read-only, broken, or not ours to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _ADVICE:
            raise
        raise ToolError(_advise(error.filename or place, error.errno)) from error


class DiskWatch:
    """Stands by while other code writes to a place; if that fails and the disk is to blame, says so.

    Libraries hide a full disk behind errors of their own: torch.save raises RuntimeError, safetensors its own class,
    NumPy an OSError without a number. So the disk itself is asked. Errors that it does not explain pass as they are.

    Raises:
        ToolError: on leaving, the disk is full or has become read-only.
    """

    def __init__(self, place: Path) -> None:
        """place: an existing folder."""
        self._place = place

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, CompressError):
            return
        number = error.errno if isinstance(error, OSError) else None
        # safetensors (Rust) removes what it could not finish, so that afterwards the disk looks free again.
        told = os.strerror(errno.ENOSPC) in str(error)
        if number is None and (told or shutil.disk_usage(self._place).free < _FULL_BYTES):
            number = errno.ENOSPC
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise ToolError(_advise(self._place, number)) from error


def _advise(place: object, number: int) -> str:
    return f"{place}: {os.strerror(number)}; {_ADVICE[number]}"
