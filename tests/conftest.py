"""Shared fixtures: one thread for torch, the project's home, the published data."""

from pathlib import Path

import pytest
import torch

from compress.home import default_home
from compress.tasks.fashion_mnist import locate

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def home() -> Path:
    """Where `make test` has put the data and the ARM64 runtimes."""
    return default_home()


@pytest.fixture(scope="session")
def fashion_mnist_folder(home: Path) -> Path:
    """The folder with the four published files."""
    return locate(home)[0]
