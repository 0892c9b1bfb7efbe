"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 70,000 photographs of clothing, 28 x 28 grey pixels, ten classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.debian import fetch_packages
from compress.errors import DataError, ToolError
from compress.tasks.idx import read_idx
from compress.tasks.task import Split, Task, split_task

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PACKAGE = "dataset-fashion-mnist"
GIVEN = "$COMPRESS_DATA"
SYSTEM = f"the system's package {PACKAGE}"
PRIVATE = f"the package {PACKAGE}, unpacked privately"
MENDS = {
    GIVEN: "put the published file there, or unset $COMPRESS_DATA",
    SYSTEM: f"reinstall {PACKAGE}, or set $COMPRESS_DATA to a folder with the published files",
    PRIVATE: "download it again",
}
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
# sha256 of what is inside: the archives of the authors and of Debian differ in their gzip headers alone.
FILES = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

Files = Mapping[str, NDArray[np.uint8]]
"""Name -> content of each of FILES."""


def fashion_mnist(
    *,
    home: Path,
    calibration: int = 1000,
    validation: int = 5000,
    train: int | None = None,
    test: int | None = None,
) -> Task:
    """All 60,000 + 10,000 images.

    The files come from `$COMPRESS_DATA`, else from the system's `dataset-fashion-mnist` package, else that package is
    downloaded and unpacked below `home`. Their checksums are pinned; a private copy that is damaged is put aside and
    downloaded again, and a line on stderr says so.

    Args:
        home: where this project keeps what it downloads.
        calibration: of the 60,000, how many calibrate quantisation.
        validation: of the 60,000, how many select.
        train: keep only the first so many of the training images; None for all. For quick trials.
        test: keep only the first so many of the test images; None for all. For quick trials.

    Raises:
        DataError: a file is missing or is not the published one.
        ToolError: the files are nowhere and the package cannot be downloaded here.
    """
    files, _, source = _load(home)
    images, labels = _decode(files, "train")
    test_images, test_labels = _decode(files, "t10k")
    if train is not None:
        images, labels = images[: train + calibration + validation], labels[: train + calibration + validation]
    return split_task(
        "fashion-mnist",
        CLASSES,
        images,
        labels,
        Split(name="test", images=test_images[:test], labels=test_labels[:test]),
        calibration=calibration,
        validation=validation,
        source=source,
    )


def find(home: Path) -> tuple[Path, str] | None:
    """The folder that should hold the four files, and one phrase that says which it is; None if none does yet.

    Nothing is read: see `find_fault`.

    Raises:
        DataError: `$COMPRESS_DATA` is set and is not a folder with the files.
    """
    given = os.environ.get("COMPRESS_DATA")
    if given:
        for folder in (Path(given) / "fashion-mnist", Path(given)):
            if any((folder / name).exists() for name in FILES):
                return folder, GIVEN
        raise DataError(
            f"$COMPRESS_DATA={given}: holds none of the Fashion-MNIST files; expected {', '.join(FILES)} in it or"
            " in its folder fashion-mnist; put them there or unset the variable"
        )
    if SYSTEM_FOLDER.is_dir():
        return SYSTEM_FOLDER, SYSTEM
    package = _package(home)
    return (_inside(package), PRIVATE) if package.exists() else None


def find_fault(folder: Path, source: str) -> str | None:
    """What is wrong with the first of the four files that is not the published one; None if all are.

    Args:
        folder: of the files.
        source: which it is, as `find` says it; decides what the sentence asks a person to do.
    """
    try:
        _read(folder, source)
    except DataError as error:
        return str(error)
    return None


def locate(home: Path) -> tuple[Path, str]:
    """As `find`, but the files are there and are the published ones: fetched below `home` if need be.

    Raises:
        DataError, ToolError: as `fashion_mnist`.
    """
    _, folder, source = _load(home)
    return folder, source


def _load(home: Path) -> tuple[Files, Path, str]:
    """The files, their folder and its phrase.

    A private copy that is damaged is put aside and downloaded again: it is ours to mend. The user's own files and the
    system's are not.
    """
    folder, source = find(home) or (_inside(_package(home)), PRIVATE)
    try:
        return _read(folder, source), folder, source
    except DataError:
        if source != PRIVATE:
            raise
    _fetch(home)
    return _read(folder, source), folder, source


def _fetch(home: Path) -> None:
    package = _package(home)
    state = f"in {package} is damaged" if package.exists() else "is not here"
    try:
        fetch_packages([PACKAGE], package, lambda folder: find_fault(_inside(folder), PRIVATE))
    except ToolError as error:
        raise ToolError(
            f"Fashion-MNIST {state} and cannot be downloaded ({error}); expected its four .gz files;"
            f" install the package {PACKAGE}, or set $COMPRESS_DATA to a folder that holds them"
        ) from error


def _package(home: Path) -> Path:
    return home / "data" / PACKAGE


def _inside(package: Path) -> Path:
    return package / SYSTEM_FOLDER.relative_to("/")


def _read(folder: Path, source: str) -> Files:
    return {name: read_idx(folder / name, sha256=sha256, mend=MENDS[source]) for name, sha256 in FILES.items()}


def _decode(files: Files, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images, labels = (content for name, content in files.items() if name.startswith(part))
    return (images[:, None] / np.float32(255)).astype(np.float32), labels.astype(np.int64)
