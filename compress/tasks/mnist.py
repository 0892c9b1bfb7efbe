"""MNIST (LeCun, Cortes & Burges 1998): 70,000 handwritten digits, 28 x 28 grey pixels. Its files must be given.

No package that this project can rely on carries the files, so nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.errors import DataError
from compress.tasks.idx import read_idx
from compress.tasks.task import Split, Task, split_task

# md5 of the archives as their authors published them; every mirror hands out the same bytes.
FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


def mnist(
    *, calibration: int = 1000, validation: int = 5000, train: int | None = None, test: int | None = None
) -> Task:
    """All 60,000 + 10,000 images, from `$COMPRESS_DATA/mnist`, else from `$COMPRESS_DATA`.

    Args:
        calibration: of the 60,000, how many calibrate quantisation.
        validation: of the 60,000, how many select.
        train: keep only the first so many of the training images; None for all. For quick trials.
        test: keep only the first so many of the test images; None for all. For quick trials.

    Raises:
        DataError: the variable is not set, a file is missing, or it is not the published one.
    """
    folder = find()
    images, labels = _read(folder, "train")
    test_images, test_labels = _read(folder, "t10k")
    if train is not None:
        images, labels = images[: train + calibration + validation], labels[: train + calibration + validation]
    return split_task(
        "mnist",
        tuple("0123456789"),
        images,
        labels,
        Split(name="test", images=test_images[:test], labels=test_labels[:test]),
        calibration=calibration,
        validation=validation,
        source="$COMPRESS_DATA",
    )


def find() -> Path:
    """The folder that should hold the four files; only their names are looked at.

    Fashion-MNIST's files have the same names: a folder `mnist` says best which they are.

    Raises:
        DataError: `$COMPRESS_DATA` is not set, or is not a folder with the files.
    """
    given = os.environ.get("COMPRESS_DATA")
    expected = f"expected a folder with {', '.join(FILES)}, or with a folder mnist that has them"
    if not given:
        raise DataError(f"mnist: $COMPRESS_DATA is not set; {expected}; get the published files and set it")
    for folder in (Path(given) / "mnist", Path(given)):
        if any((folder / name).exists() for name in FILES):
            return folder
    raise DataError(f"$COMPRESS_DATA={given}: holds none of the MNIST files; {expected}; put them there")


def _read(folder: Path, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images, labels = (_read_published(folder / name, md5) for name, md5 in FILES.items() if name.startswith(part))
    return (images[:, None] / np.float32(255)).astype(np.float32), labels.astype(np.int64)


def _read_published(path: Path, md5: str) -> NDArray[np.uint8]:
    mend = "put the published MNIST file there"
    array = read_idx(path, mend=mend)
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path}: has md5 {found}; expected {md5}, as published (not Fashion-MNIST's); {mend}")
    return array
