"""Tasks and models that are wrong in one way each; the fault tests name them in recipes."""

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import torch
from torch import nn

from compress.models.mobile import mobile_cnn
from compress.tasks import Split, Task
from compress.tasks.digits import digits


def _with_train(**changes: object) -> Task:
    task = digits()
    return dataclasses.replace(task, train=dataclasses.replace(task.train, **changes))


def nan_image() -> Task:
    images = digits().train.images.copy()
    images[7, 0, 0, 0] = np.nan
    return _with_train(images=images)


def label_out_of_range() -> Task:
    labels = digits().train.labels.copy()
    labels[7] = 10
    return _with_train(labels=labels)


def empty_calibration() -> Task:
    task = digits()
    nothing = Split(name="calibration", images=task.train.images[:0], labels=task.train.labels[:0])
    return dataclasses.replace(task, calibration=nothing)


def no_task() -> str:
    return "digits"


def missing_file() -> Task:
    from compress.tasks.idx import read_idx

    read_idx(Path("nowhere/images.gz"))
    return digits()


def raises(*, classes: int) -> nn.Module:
    raise RuntimeError(f"no {classes} today")


def no_module(*, classes: int) -> int:
    return classes


class Frozen(nn.Module):
    """Answers the same whatever it sees."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(64, classes))
        self.shift = nn.Parameter(torch.zeros(classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) * 0) @ self.scale + self.shift


def constant(*, classes: int) -> nn.Module:
    return Frozen(classes)


def interrupted(*, in_channels: int, classes: int, name: str) -> nn.Module:
    """Sends its own process a signal while the model is being made."""
    os.kill(os.getpid(), getattr(signal, name))
    return mobile_cnn(in_channels=in_channels, classes=classes)


class _Shuffled(nn.Module):
    """A network whose weights are shuffled as soon as it leaves training: a planted regression."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)

    def eval(self) -> nn.Module:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in self.network.parameters():
                if parameter.ndim > 1:
                    order = torch.randperm(parameter.numel(), generator=generator)
                    parameter.copy_(parameter.flatten()[order].view_as(parameter))
        return super().eval()


def shuffled(*, in_channels: int, classes: int) -> nn.Module:
    return _Shuffled(mobile_cnn(in_channels=in_channels, classes=classes, widths=(8, 16, 24), strides=(1, 1, 2)))


def killed_before(*, name: str) -> Task:
    """The digits, in a process that will not live to write one file of the run."""
    die_before(name)
    return digits()


def die_before(name: str) -> None:
    """Let this process be killed when it is about to give a file its final name."""
    replace = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        if Path(target).name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = replace_or_die


def swallows_interrupt() -> Task:
    """Ctrl-C during an import may reach the program as any other error; NumPy makes a RecursionError of it."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise RecursionError("maximum recursion depth exceeded") from None
    return digits()
