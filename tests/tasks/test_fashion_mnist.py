"""Where the files come from, and what happens when they are not what was published."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from compress.errors import DataError
from compress.tasks import fashion_mnist as module
from compress.tasks.idx import read_idx


def idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_read_idx_inverts_the_published_layout(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(array)))
    np.testing.assert_array_equal(read_idx(path), array)


GOOD = idx(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected IDX of bytes"),
        (b"<html>not found</html>", "cannot be read as gzip"),
        (gzip.compress(GOOD)[:-9], "cannot be read as gzip"),
        (gzip.compress(b"\0\0\x0d\x02" + GOOD[4:]), "starts with 00000d02"),
        (gzip.compress(GOOD[:7]), "ends inside its header"),
        (gzip.compress(GOOD[:-1]), r"holds 5 values; its header says \(2, 3\)"),
        (gzip.compress(GOOD + b"x"), "holds 7 values"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_the_environment_comes_first_and_a_wrong_folder_says_what_to_do(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COMPRESS_DATA", str(tmp_path))
    with pytest.raises(DataError, match="holds none of the Fashion-MNIST files"):
        module.fashion_mnist(home=tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
    assert module.find(tmp_path) == (tmp_path, "$COMPRESS_DATA")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: missing"):
        module.fashion_mnist(home=tmp_path)


def test_a_flipped_pixel_is_noticed(tmp_path: Path, monkeypatch, fashion_mnist_folder: Path) -> None:
    for name in module.FILES:
        (tmp_path / name).symlink_to(fashion_mnist_folder / name)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(labels.read_bytes()))
    content[1000] ^= 1
    labels.unlink()
    labels.write_bytes(gzip.compress(content))
    monkeypatch.setenv("COMPRESS_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=r"t10k-labels-idx1-ubyte\.gz: its content has sha256 .*; expected [0-9a-f]{64}"
    ):
        module.fashion_mnist(home=tmp_path)


def test_the_published_data_set(fashion_mnist_folder: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COMPRESS_DATA", str(fashion_mnist_folder))
    task = module.fashion_mnist(home=tmp_path)
    assert [len(split) for split in task.splits()] == [54_000, 1_000, 5_000, 10_000]
    assert np.bincount(task.test.labels).tolist() == [1000] * 10
    everything = sum(np.bincount(split.labels, minlength=10) for split in task.splits()[:3])
    assert everything.tolist() == [6000] * 10
    # Published mean of the training images: 0.2860.
    mean = sum(split.images.sum(dtype=np.float64) for split in task.splits()[:3]) / (60_000 * 784)
    assert mean == pytest.approx(0.2860, abs=5e-5)
