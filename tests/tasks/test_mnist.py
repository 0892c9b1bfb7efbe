"""Which files are taken for MNIST, and which are refused."""

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress.errors import DataError
from compress.tasks import mnist as module


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(
        b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes(), mtime=0
    )


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four tiny files stand for the published ones; returns their folder, which `$COMPRESS_DATA` holds."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in module.FILES:
        shape = (8, 28, 28) if "images" in name else (8,)
        (folder / name).write_bytes(idx(random.integers(0, 10, shape, dtype=np.uint8)))
    md5s = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in module.FILES}
    monkeypatch.setattr(module, "FILES", md5s)
    monkeypatch.setenv("COMPRESS_DATA", str(tmp_path))
    return folder


def test_pixels_and_labels_are_those_of_the_files(given: Path) -> None:
    task = module.mnist(calibration=1, validation=2, train=4, test=5)
    assert [len(split) for split in task.splits()] == [4, 1, 2, 5]
    content = gzip.decompress((given / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    stored = np.frombuffer(content, np.uint8).reshape(8, 1, 28, 28)[:5]
    np.testing.assert_array_equal(np.round(task.test.images * 255).astype(np.uint8), stored)
    labels = gzip.decompress((given / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert task.test.labels.tolist() == list(labels[:5])


def test_the_folder_itself_may_hold_the_files(given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESS_DATA", str(given))
    assert module.find() == given


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "missing; expected an IDX file in gzip"),
        (lambda path: path.write_bytes(b"<html>"), "cannot be read as gzip"),
        (
            lambda path: path.write_bytes(idx(np.full(8, 3, np.uint8))),
            "has md5 [0-9a-f]{32}; expected [0-9a-f]{32}, as",
        ),
    ],
)
def test_another_file_is_refused(given: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(given / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(
        DataError, match=rf"t10k-labels-idx1-ubyte\.gz: {message}.*; put the published MNIST file there$"
    ):
        module.mnist(calibration=1, validation=2)


@pytest.mark.parametrize(
    ("value", "message"), [(None, r"\$COMPRESS_DATA is not set"), ("empty", "holds none of the MNIST files")]
)
def test_files_that_are_not_given_are_named(
    value: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMPRESS_DATA", raising=False)
    if value:
        monkeypatch.setenv("COMPRESS_DATA", str(tmp_path / value))
    with pytest.raises(DataError, match=f"{message}; expected a folder with train-images-idx3-ubyte.gz, "):
        module.find()


def test_fashion_mnist_is_not_mnist(fashion_mnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESS_DATA", str(fashion_mnist_folder))
    with pytest.raises(DataError, match=r"has md5 .* as published"):
        module.mnist()
