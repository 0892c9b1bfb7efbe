"""The networks of Hinton, Vinyals & Dean 2015, section 3, and how the scripts about that paper train them.

A teacher is trained once per task and seed, and shared: its finished checkpoint lies below the project's home, and
training that has nothing left to do hands the same weights out again. So do its answers, which every student reads.
"""

from __future__ import annotations

import dataclasses
import os
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from compress.distill import (
    Augment,
    Distillation,
    ModuleTeacher,
    Schedule,
    SoftTargets,
    TransferSet,
    choose_device,
    logits_of,
    train,
)
from compress.home import default_home
from compress.models.mlp import mlp
from compress.store import code_version, stage_key
from compress.tasks import Split, Task
from compress.tasks.fashion_mnist import fashion_mnist
from compress.tasks.mnist import mnist

TEACHER_WIDTH, STUDENT_WIDTH = 1200, 800
DROPOUT, INPUT_DROPOUT = 0.5, 0.2
TEACHER = Schedule(epochs=40, batch_size=128, learning_rate=0.1, weight_decay=1e-4, augment=Augment(pad=2, flip=False))
STUDENT = Schedule(epochs=20, batch_size=128, learning_rate=0.05, weight_decay=0.0)
KEPT = "perceptrons"


def given_tasks() -> list[str]:
    """What there is data for; MNIST's lies in a folder of its own, because Fashion-MNIST's files share its names."""
    given = os.environ.get("COMPRESS_DATA")
    if given and (Path(given) / "mnist").is_dir():
        return ["fashion-mnist", "mnist"]
    print("MNIST is left out: $COMPRESS_DATA holds no folder mnist")
    return ["fashion-mnist"]


def load_task(name: str, quick: bool) -> Task:
    """`fashion-mnist` or `mnist`; a few hundred images of it where it is to be quick."""
    few = {"train": 600, "test": 200, "calibration": 50, "validation": 200} if quick else {}
    return fashion_mnist(home=default_home(), **few) if name == "fashion-mnist" else mnist(**few)


def shorten(schedule: Schedule, quick: bool) -> Schedule:
    """The schedule, or one epoch of it."""
    return dataclasses.replace(schedule, epochs=1, batch_size=32) if quick else schedule


def perceptron(task: Task, width: int, seed: int, *, dropout: float = 0.0, input_dropout: float = 0.0) -> nn.Module:
    """Two hidden layers of `width` units, with the initial weights of a seed."""
    torch.manual_seed(seed)
    pixels = task.train.images[0].size
    return mlp(
        in_features=pixels,
        classes=len(task.classes),
        widths=(width, width),
        dropout=dropout,
        input_dropout=input_dropout,
    )


def teach(task: Task, seed: int, quick: bool) -> ModuleTeacher:
    """The teacher of a task and a seed: trained now, or restored."""
    schedule = shorten(TEACHER, quick)
    settings = [task.name, TEACHER_WIDTH, DROPOUT, INPUT_DROPOUT, repr(schedule), seed, quick]
    identity = {"device": repr(choose_device()), "torch": version("torch")}
    key = stage_key("teacher", settings, {}, code_version("compress.distill", "compress.models"), identity)
    folder = default_home() / "benchmarks" / KEPT
    folder.mkdir(parents=True, exist_ok=True)
    model = perceptron(task, TEACHER_WIDTH, seed, dropout=DROPOUT, input_dropout=INPUT_DROPOUT)
    transfer = TransferSet.of_split(task.train)
    train(model, transfer, task.validation, schedule, seed=seed, checkpoint=folder / f"{key}.pt")
    return ModuleTeacher(model=model)


def soften(teacher: ModuleTeacher, temperature: float, alpha: float) -> Distillation:
    """To learn a teacher's soft targets, and labels where alpha leaves some weight to them."""
    loss = SoftTargets(temperature=temperature)
    return Distillation(teachers=(teacher,), loss=loss, alpha=alpha, cache=default_home() / "benchmarks" / KEPT)


def count_errors(model: nn.Module, split: Split) -> int:
    """How many images of a split a model puts into a wrong class."""
    return int((predict_logits(model, split).argmax(1) != torch.from_numpy(split.labels)).sum())


def predict_logits(model: nn.Module, split: Split) -> torch.Tensor:
    """Logits (n, classes) of a split, on the CPU."""
    return logits_of(model, torch.from_numpy(split.images), choose_device()).cpu()


def errors_of(model: nn.Module, task: Task) -> dict[str, int]:
    """Wrong answers: on validation, by which one chooses, and on test, which one reports."""
    return {
        "validation_errors": count_errors(model, task.validation),
        "test_errors": count_errors(model, task.test),
    }


def checkpoint_in(folder: Path) -> Path:
    """Where a trial's student keeps how far it has come."""
    return folder / "student.pt"
