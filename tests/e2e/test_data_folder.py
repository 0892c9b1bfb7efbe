"""$COMPRESS_DATA that lacks a file or holds a wrong one: the file, what was expected of it, what to do; exit code 3."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.tasks.fashion_mnist import FILES
from tests.e2e.conftest import SMALL, Finished, fails

FIRST, LAST = next(iter(FILES)), list(FILES)[-1]
ANOTHER = gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 3) + b"abc")  # a sound IDX file, but not the published one


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        (FIRST, ANOTHER, (FILES[FIRST], "as published", "$COMPRESS_DATA")),
        (LAST, None, ("missing", "put the published file there")),
    ],
    ids=["another", "none"],
)
def test_a_wrong_file(
    compress: Callable[..., Finished],
    fashion_mnist_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes | None,
    parts: tuple[str, ...],
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for each in FILES:
        (data / each).symlink_to(fashion_mnist_folder / each)
    (data / name).unlink()
    if content is not None:
        (data / name).write_bytes(content)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(SMALL.read_text().replace("digits:digits", "fashion_mnist:fashion_mnist"))
    monkeypatch.setenv("COMPRESS_DATA", str(data))
    finished = compress("run", recipe, "-o", tmp_path / "out", home=tmp_path / "home")
    fails(finished, 3, str(data / name), *parts)
    assert not (tmp_path / "out").exists()
