"""What is learnt and how it is scored.

- A split knows its own name, so that a stage can refuse the wrong one: nothing trains, calibrates or selects on `test`.
- Images stay in [0, 1] and the model does its own normalisation (its first batch norm): a phone then feeds
  pixel / 255, or to an int8 model that quantised by its input's scale and zero point, and there is no mean and std to
  forget. Where calibration finds the range 0 to 1, that is the raw byte minus 128.
- Splits are checked once, here; later stages trust them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compress.errors import DataError

SPLITS = ("train", "calibration", "validation", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """One part of a data set.

    name: one of SPLITS.
    images: (n, channels, height, width) float32 in [0, 1].
    labels: (n,) int64 class indices.
    """

    name: str
    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sha256(self) -> str:
        """Hash of shapes, images and labels: the identity that stage keys are made from."""
        digest = hashlib.sha256(repr((self.images.shape, self.labels.shape)).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A checked data set with its splits.

    name: for reports.
    classes: one name per class, in the order of the labels.
    source: where the data came from, one phrase for the provenance.

    Raises:
        DataError: a split is empty, of another shape than the rest, holds NaN or values outside [0, 1], a label is out
            of range, or an image of `test` is in another split too.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    calibration: Split
    validation: Split
    test: Split
    source: str = field(default="")

    def __post_init__(self) -> None:
        for split in self.splits():
            _check_split(self.name, split, len(self.classes), self.train.images.shape[1:])
        _check_disjoint(self.name, self.splits())

    def splits(self) -> tuple[Split, Split, Split, Split]:
        """All four, in the order of SPLITS."""
        return self.train, self.calibration, self.validation, self.test

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def split_task(
    name: str,
    classes: tuple[str, ...],
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    test: Split,
    *,
    calibration: int,
    validation: int,
    source: str,
) -> Task:
    """Cut labelled images into train, calibration and validation, by a permutation that never changes.

    Args:
        name: of the task.
        classes: class names.
        images: (n, channels, height, width) float32 in [0, 1]: everything but the test split.
        labels: (n,) int64.
        test: the test split, as published.
        calibration: how many images calibrate quantisation.
        validation: how many images select.
        source: where the data came from.

    Raises:
        DataError: as Task.
    """
    order = np.random.default_rng(20170825).permutation(len(labels))
    parts = np.split(order, [calibration, calibration + validation])

    def part(split: str, index: NDArray[np.int64]) -> Split:
        return Split(name=split, images=np.ascontiguousarray(images[index]), labels=labels[index])

    return Task(
        name=name,
        classes=classes,
        calibration=part("calibration", parts[0]),
        validation=part("validation", parts[1]),
        train=part("train", parts[2]),
        test=test,
        source=source,
    )


def _check_split(task: str, split: Split, classes: int, shape: tuple[int, ...]) -> None:
    where = f"task {task}, split {split.name}"
    images, labels = split.images, split.labels
    if len(labels) == 0:
        raise DataError(f"{where}: no images; expected at least one; give the split some images")
    if images.ndim != 4 or images.shape[1:] != shape or len(images) != len(labels):
        raise DataError(
            f"{where}: images of shape {images.shape} with {len(labels)} labels; expected"
            f" (n, {', '.join(map(str, shape))}) and one label per image; reshape the task's arrays"
        )
    if images.dtype != np.float32 or labels.dtype != np.int64:
        raise DataError(
            f"{where}: images are {images.dtype} and labels {labels.dtype}; expected float32 and int64; convert them"
        )
    bad = ~np.isfinite(images.reshape(len(images), -1)).all(axis=1)
    if bad.any():
        raise DataError(
            f"{where}: image {int(bad.argmax())} holds NaN or infinity ({int(bad.sum())} such images);"
            " expected finite values in [0, 1]; repair or drop them"
        )
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise DataError(
            f"{where}: values reach from {low:g} to {high:g}; expected [0, 1]; divide bytes by 255, leave normalisation"
            " to the model"
        )
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(
            f"{where}: label {int(labels[at])} at index {at} ({int(wrong.sum())} such labels); expected 0 to"
            f" {classes - 1}; correct the labels or the list of classes"
        )


def _check_disjoint(task: str, splits: tuple[Split, ...]) -> None:
    *others, test = splits
    seen = {_image_hash(image) for image in test.images}
    for split in others:
        shared = sum(_image_hash(image) in seen for image in split.images)
        if shared:
            raise DataError(
                f"task {task}: {shared} of {len(split)} images of split {split.name} are in the test split too;"
                " expected none, or the test score proves nothing; remove them from one of the two"
            )


def _image_hash(image: NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
