"""Two processes: they train what one does, and when one dies or hangs, the other says so and the next run goes on."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from learning import SCHEDULE, build
from together import NORMS, teach
from torch import nn

from compress.distill import TransferSet, World, train
from compress.distill.batch_norms import global_batch_norms
from compress.distill.world import ALONE
from compress.errors import DataError, ModelError
from compress.tasks.digits import digits
from tests import forked

HERE = Path(__file__).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
RECIPE = HERE.parent / "e2e" / "small.yaml"


def start(folder: Path, *job: object) -> list[BaseProcess]:
    """Two processes without torchrun around them: it would end the second when the first dies.

    What each says is in `said-RANK` in the folder.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        forked.start(
            "together.py",
            folder,
            *job,
            environment={**common, "RANK": str(rank)},
            folder=HERE,
            files=(os.devnull, str(folder / f"said-{rank}")),
        )
        for rank in range(2)
    ]


def end(processes: list[BaseProcess]) -> list[int | None]:
    """The exit codes of all, once they have ended."""
    for process in processes:
        process.join(300)
    return [process.exitcode for process in processes]


def relative_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    difference = sum(float((one[name].double() - other[name].double()).square().sum()) for name in other)
    return (difference / sum(float(each.double().square().sum()) for each in other.values())) ** 0.5


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes left what the job `check` finds out."""
    folder = tmp_path_factory.mktemp("checked")
    assert end(start(folder, "check")) == [0, 0]
    return folder


@pytest.mark.parametrize("name", NORMS)
def test_a_batch_norm_of_shares_is_the_batch_norm_of_the_whole(checked: Path, name: str) -> None:
    assert json.loads((checked / "norms.json").read_text())[name] < 1e-5


def test_a_loss_between_samples_sees_the_whole_batch(checked: Path) -> None:
    assert json.loads((checked / "gathers.json").read_text()) < 1e-5


@pytest.mark.parametrize("name", ["labels", "teacher", "rows", "preferences", "relations"])
def test_two_processes_train_the_weights_of_one(checked: Path, tmp_path: Path, name: str) -> None:
    alone = teach(name, tmp_path, ALONE).state_dict()
    together = torch.load(checked / f"{name}.weights", weights_only=True)
    assert relative_difference(together, alone) < 1e-5


def test_whoever_dies_or_hangs_the_other_says_so_and_the_next_run_goes_on(checked: Path, tmp_path: Path) -> None:
    for rank, step, number in ((1, 5, signal.SIGKILL), (0, 11, signal.SIGKILL), (1, 20, signal.SIGSTOP)):
        processes = start(tmp_path, "interrupted", rank, step, int(number))
        started = time.monotonic()
        survivor = processes[1 - rank]
        survivor.join(100)
        processes[rank].kill()
        assert end([processes[rank], survivor]) == [-signal.SIGKILL, 4]
        assert time.monotonic() - started < 90  # the start of two processes, and less than a minute
        said = (tmp_path / f"said-{1 - rank}").read_text()
        assert said.count("\n") == 1, said
        assert f"process {1 - rank} of 2: another process of this training died or hangs" in said
    assert end(start(tmp_path, "interrupted", 0, 0, 0)) == [0, 0]
    # In the unbroken run one process came late, and the leader worked alone for longer than a step may take.
    ends = [torch.load(folder / "whole.weights", weights_only=True) for folder in (tmp_path, checked)]
    assert all(torch.equal(ends[0][name], tensor) for name, tensor in ends[1].items())


def test_the_command_under_torchrun_is_one_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = subprocess.run(
        [*TORCHRUN, "-m", "compress", "run", RECIPE, "-o", folder],
        env={**os.environ, "COMPRESS_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("train teacher") == 1 + 1  # a line for each epoch, and one for the stage
    assert done.stdout.count("Report   ") == 1
    assert json.loads((folder / "results.json").read_text())["provenance"]["machine"]["training"]["processes"] == 2


def test_a_batch_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    task = digits()
    schedule = dataclasses.replace(SCHEDULE, batch_size=63)
    with pytest.raises(DataError, match="batch_size 63 does not divide among 2 processes; expected a multiple"):
        train(
            build(),
            TransferSet.of_split(task.train),
            task.validation,
            schedule,
            seed=0,
            checkpoint=tmp_path / "c.pt",
            world=World(rank=0, size=2),
        )


def test_a_batch_norm_that_cannot_see_the_whole_batch_is_refused() -> None:
    class Own(nn.BatchNorm2d):
        pass

    models = [nn.Sequential(nn.BatchNorm2d(2), norm) for norm in (nn.BatchNorm3d(2), Own(2))]
    for model, name in zip(models, ("BatchNorm3d", "Own"), strict=True):
        with (
            pytest.raises(ModelError, match=f"{name} would see a part of each batch in 2 processes"),
            global_batch_norms(model, World(rank=0, size=2)),
        ):
            pytest.fail("it was accepted")
        assert type(model[0]) is nn.BatchNorm2d


def test_batch_norms_are_torchs_own_again_afterwards() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm1d(2))
    with global_batch_norms(model, World(rank=0, size=2)):
        assert [type(norm).__name__ for norm in model] == ["GlobalBatchNorm2d", "GlobalBatchNorm1d"]
    assert [type(norm) for norm in model] == [nn.BatchNorm2d, nn.BatchNorm1d]
