"""Shared fixtures: one thread for torch, the project's home, the published data, an ssh server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from compress.errors import ToolError
from compress.home import default_home
from compress.tasks.fashion_mnist import locate
from tests.targets import ssh_server

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def home() -> Path:
    """Where `make test` has put the data and the ARM64 runtimes."""
    return default_home()


@pytest.fixture(scope="session")
def fashion_mnist_folder(home: Path) -> Path:
    """The folder with the four published files."""
    return locate(home)[0]


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_server.Server]:
    """An ssh server of our own on this machine."""
    try:
        with ssh_server.serve(tmp_path_factory.mktemp("sshd"), home) as server:
            yield server
    except ToolError as error:
        pytest.skip(f"no ssh server to try with: {error}")
