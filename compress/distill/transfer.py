"""What a student learns on: samples, with labels or without.

Unlabelled samples carry a teacher's knowledge as well as labelled ones do (Bucila et al. 2006, section 2): the
transfer set need not be what the teacher was trained on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compress.errors import DataError
from compress.tasks.task import Split


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferSet:
    """Samples to learn from.

    inputs: (n, ...) float32, finite; images are (n, channels, height, width) in [0, 1], rows are (n, features).
    labels: (n,) int64 class indices; None where only a teacher knows.
    name: for messages.

    Raises:
        DataError: there are no samples, the labels do not fit, or a value is not finite.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    name: str = "transfer set"

    def __post_init__(self) -> None:
        if self.inputs.ndim < 2 or self.inputs.size == 0:
            raise DataError(
                f"{self.name}: samples of shape {self.inputs.shape}; expected (n, ...) with at least one of each; give"
                " it some"
            )
        if self.inputs.dtype != np.float32 or (self.labels is not None and self.labels.dtype != np.int64):
            got = self.inputs.dtype if self.labels is None else f"{self.inputs.dtype} and {self.labels.dtype}"
            raise DataError(f"{self.name}: samples (and labels) are {got}; expected float32 (and int64); convert them")
        if self.labels is not None and self.labels.shape != (len(self.inputs),):
            raise DataError(
                f"{self.name}: {len(self.inputs)} samples with labels of shape {self.labels.shape}; expected one label"
                " per sample; leave the labels out if only some have one"
            )
        object.__setattr__(self, "inputs", np.ascontiguousarray(self.inputs))  # torch takes no negative strides
        finite = np.isfinite(self.inputs.reshape(len(self.inputs), -1)).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{self.name}: sample {int(finite.argmin())} holds NaN or infinity; expected finite values; drop it"
            )

    @classmethod
    def of_split(cls, split: Split) -> TransferSet:
        """A task's labelled split.

        Raises:
            DataError: it is the test split.
        """
        if split.name == "test":
            raise DataError(
                "train: got the test split; expected train or another; the test split is for the final measurement only"
            )
        return cls(inputs=split.images, labels=split.labels, name=f"split {split.name}")

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def identity(self) -> str:
        """Hash of samples and labels: what a training depends on."""
        labels = b"none" if self.labels is None else np.ascontiguousarray(self.labels).tobytes()
        return hashlib.sha256(self.sha256.encode() + labels).hexdigest()

    @cached_property
    def sha256(self) -> str:
        """Hash of shape and samples: what a teacher's answers depend on."""
        digest = hashlib.sha256(repr(self.inputs.shape).encode())
        digest.update(np.ascontiguousarray(self.inputs).data)
        return digest.hexdigest()
