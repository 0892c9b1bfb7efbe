"""What a killed training goes on from: everything that the next step depends on, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import time
from pathlib import Path
from typing import Any

import torch

from compress.errors import ModelError

State = dict[str, Any]

_DIGEST = 32
"""Bytes of the sha256 that the file starts with."""


class Checkpoint:
    """One file, replaced as training goes on."""

    def __init__(self, path: Path, made_for: str) -> None:
        """Nothing is read or written yet.

        Args:
            path: of the file.
            made_for: identity of the training; a file of another one is refused.
        """
        self.path, self._made_for = path, made_for
        self._written = time.perf_counter()

    @property
    def age(self) -> float:
        """Seconds since it was written, or else since this object was made."""
        return time.perf_counter() - self._written

    def set_aside_if_damaged(self) -> None:
        """Move a damaged file out of the way; of several processes the leader does it, before any of them reads."""
        if self.path.exists() and _undamaged(self.path.read_bytes()) is None:
            self.path.replace(self.path.with_suffix(".damaged"))

    def read(self, device_name: str) -> State | None:
        """The state that was saved last; None if there is none, or if the file is damaged.

        Raises:
            ModelError: the file belongs to another training.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        whole = _undamaged(content)
        if whole is None:
            return None
        state: State = torch.load(io.BytesIO(whole), map_location=device_name, weights_only=True)
        if state["made_for"] != self._made_for:
            raise ModelError(
                f"{self.path}: a checkpoint of another training; expected one of the same model, data, schedule, seed"
                " and teachers; delete it or name another file"
            )
        return state

    def write(self, state: State) -> None:
        """Replace the file; a kill at any moment leaves the old or the new one."""
        buffer = io.BytesIO()
        torch.save(state | {"made_for": self._made_for}, buffer)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(hashlib.sha256(buffer.getvalue()).digest())
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        self._written = time.perf_counter()


def _undamaged(content: bytes) -> bytes | None:
    """What was written, without its digest; None if that does not fit."""
    return content[_DIGEST:] if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST] else None
