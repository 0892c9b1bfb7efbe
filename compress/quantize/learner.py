"""Learnt rounding that survives a kill, and that no layer goes through twice.

What was learnt is found again by all that decides it, of which the numbers that a layer reads and shall give are part:
so a file fits or is not found, whatever has changed meanwhile, and graphs that are alike up to a layer share what it
learns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from compress.quantize.rounding import LearntRounding, Reconstruction, learn_rounding
from compress.store import write_atomic

Advance = Callable[[int, int, str], None]
_DIGEST_BYTES = 32


class Learner:
    """Learns one layer after the other."""

    def __init__(self, options: LearntRounding, checkpoint: Path | None = None, advance: Advance | None = None) -> None:
        """Nothing is read or written yet.

        Args:
            options: how.
            checkpoint: folder with a file for every layer, made when it is needed; None remembers without one.
            advance: is told done, total and the layer that is learnt next.
        """
        self.options = options
        self._folder, self._advance = checkpoint, advance
        self._known: dict[str, Tensor] = {}

    def learn(
        self, task: Reconstruction, weight: Tensor, scales: Tensor, activation: str, place: tuple[int, int, str]
    ) -> Tensor:
        """`learn_rounding`, or what it has found before.

        Args:
            task: like the next two, as for `learn_rounding`.
            weight: likewise.
            scales: likewise.
            activation: tells that of the task from others.
            place: what `advance` is told.
        """
        key = _digest((task.rows, task.targets, task.bias, weight, scales), f"{self.options} {activation}")
        found = self._known.get(key)
        if found is None:
            found = self._read(key, weight.shape)
        if found is None:
            if self._advance:
                self._advance(*place)
            found = learn_rounding(task, weight, scales, self.options).to(torch.int8)
            self._write(key, found)
        self._known[key] = found
        return found.float()

    def _read(self, key: str, shape: torch.Size) -> Tensor | None:
        """None if it was not learnt yet, or if the file is damaged."""
        try:
            content = (self._folder / key).read_bytes() if self._folder else b""
        except FileNotFoundError:
            return None
        digest, integers = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(integers).digest() != digest:
            return None
        return torch.frombuffer(bytearray(integers), dtype=torch.int8).reshape(shape)

    def _write(self, key: str, integers: Tensor) -> None:
        if self._folder:
            content = integers.numpy().tobytes()
            write_atomic(self._folder / key, hashlib.sha256(content).digest() + content)


def _digest(tensors: tuple[Tensor, ...], words: str) -> str:
    digest = hashlib.sha256(words.encode())
    for each in tensors:
        digest.update(str(tuple(each.shape)).encode())
        digest.update(each.contiguous().numpy().data)
    return digest.hexdigest()
