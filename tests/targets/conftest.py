"""Models, and targets to run them on."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_models

from compress.targets import Session, open_session
from compress.targets.arm64 import Arm64, install


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with float.onnx, float.tflite and int8.tflite: one network."""
    folder = tmp_path_factory.mktemp("models")
    tiny_models.write_onnx(folder / "float.onnx")
    tiny_models.write_tflite(folder / "float.tflite", quantised=False)
    tiny_models.write_tflite(folder / "int8.tflite", quantised=True)
    return folder


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """hanging.onnx, (1, 4) to (1, 4), which does not finish."""
    return tiny_models.write_hanging(tmp_path / "hanging.onnx")


@pytest.fixture(scope="session")
def arm64(home: Path) -> Arm64:
    """The installation in the project's home; made there if it is missing."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the emulated cores need Linux on x86_64")
    return install(home, print)


@pytest.fixture(scope="session")
def host(home: Path) -> Iterator[Session]:
    with open_session("host", home) as session:
        yield session


@pytest.fixture(scope="session")
def cortex_a76(home: Path, arm64: Arm64) -> Iterator[Session]:
    assert arm64.folder.is_dir()
    with open_session("cortex-a76", home) as session:
        yield session


@pytest.fixture(scope="session")
def cortex_a53(home: Path, arm64: Arm64) -> Iterator[Session]:
    assert arm64.folder.is_dir()
    with open_session("cortex-a53", home) as session:
        yield session
