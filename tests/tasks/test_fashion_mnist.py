"""Where the files come from, and what happens when they are not what was published."""

import gzip
import hashlib
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress import debian
from compress.errors import DataError
from compress.tasks import fashion_mnist as module
from compress.tasks.fashion_mnist import FILES
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
    ids=["empty", "html", "truncated", "other type", "no header", "too few", "too many"],  # gzip holds the time
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


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four tiny files stand for the published ones, and fetching copies them; returns their folder."""
    folder = tmp_path / "published"
    folder.mkdir()
    contents = {name: idx(np.full((6, 2, 2) if "images" in name else 6, k, np.uint8)) for k, name in enumerate(FILES)}
    for name, content in contents.items():
        (folder / name).write_bytes(gzip.compress(content))
    monkeypatch.setattr(module, "FILES", {name: hashlib.sha256(c).hexdigest() for name, c in contents.items()})
    monkeypatch.setattr(module, "SYSTEM_FOLDER", Path("/usr/share/datasets/not-here"))
    monkeypatch.delenv("COMPRESS_DATA", raising=False)

    def download(_packages: list[str], work: Path, _release: str) -> list[Path]:
        root = work.parent / "root"
        shutil.copytree(folder, root / "usr/share/datasets/not-here")
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(
            "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n"
        )
        subprocess.run(["dpkg-deb", "--build", root, work / "a.deb"], check=True, capture_output=True)
        return [work / "a.deb"]

    monkeypatch.setattr(debian, "download", download)
    return folder


def flip(path: Path) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))


@pytest.mark.parametrize(
    "damage", [flip, Path.unlink, lambda path: path.write_bytes(b""), lambda p: shutil.rmtree(p.parent)]
)
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_damaged_private_copy_is_put_aside_and_fetched_again(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: Callable[[Path], None]
) -> None:
    folder, source = module.locate(tmp_path)
    assert (source, capsys.readouterr().err) == (module.PRIVATE, "")
    damage(folder / name)
    assert module.find_fault(folder, source)
    assert module.locate(tmp_path) == (folder, source)
    assert [(folder / file.name).read_bytes() for file in published.iterdir()] == [
        file.read_bytes() for file in published.iterdir()
    ]
    (line,) = capsys.readouterr().err.splitlines()
    assert str(folder) in line
    assert line.endswith(
        f"; download it again; done, what was there is in {tmp_path / 'data' / 'dataset-fashion-mnist.damaged-1'}"
    )
    assert module.find_fault(folder, source) is None


def test_a_mirror_that_offers_something_else_is_asked_once(published: Path, tmp_path: Path) -> None:
    flip(published / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: its content has sha256 .*; download it again"):
        module.locate(tmp_path)


@pytest.mark.parametrize(
    ("variable", "mend"),
    [(True, "put the published file there, or unset"), (False, "reinstall dataset-fashion-mnist, or set")],
)
def test_what_is_not_ours_is_left_alone(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: bool, mend: str
) -> None:
    if variable:
        monkeypatch.setenv("COMPRESS_DATA", str(published))
    else:
        monkeypatch.setattr(module, "SYSTEM_FOLDER", published)
    assert module.locate(tmp_path)[0] == published
    flip(published / "t10k-labels-idx1-ubyte.gz")
    for _ in range(2):
        with pytest.raises(DataError, match=mend):
            module.locate(tmp_path)
    assert not (tmp_path / "data").exists()
