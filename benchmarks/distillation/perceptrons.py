"""The networks of Hinton, Vinyals & Dean 2015, section 3, and how the scripts about that paper train them.

A teacher is trained once per task and seed, and shared: its finished checkpoint lies below the project's home, and
training that has nothing left to do hands the same weights out again. So do its answers, which every student reads.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn
from trials import gap_recovered

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
STUDENT = Schedule(epochs=16, batch_size=128, learning_rate=0.05, weight_decay=0.0)
KEPT = default_home() / "benchmarks" / "perceptrons"


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """How a teacher is trained and regularised.

    dropout, input_dropout: shares of the hidden units and of the pixels.
    schedule: with the input jitter.
    """

    dropout: float
    input_dropout: float
    schedule: Schedule


TEACHINGS = {
    "mnist": Teaching(
        dropout=0.5,
        input_dropout=0.2,
        schedule=Schedule(
            epochs=40, batch_size=128, learning_rate=0.1, weight_decay=1e-4, augment=Augment(pad=2, flip=False)
        ),
    ),
    # Garments are centred and fill the frame: a jitter of 2 pixels and dropout of a half cost this net 5 points in 16
    # epochs (17.2 % wrong on validation, of 12,000 images), of 1 pixel and a fifth far less.
    "fashion-mnist": Teaching(
        dropout=0.2,
        input_dropout=0.0,
        schedule=Schedule(
            epochs=48, batch_size=128, learning_rate=0.1, weight_decay=1e-4, augment=Augment(pad=1, flip=False)
        ),
    ),
}


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
    teaching = TEACHINGS[task.name]
    identity = {"device": repr(choose_device()), "torch": version("torch")}
    code = code_version("compress.distill", "compress.models.mlp")
    key = stage_key("teacher", [task.name, TEACHER_WIDTH, repr(teaching), seed, quick], {}, code, identity)
    KEPT.mkdir(parents=True, exist_ok=True)
    model = perceptron(task, TEACHER_WIDTH, seed, dropout=teaching.dropout, input_dropout=teaching.input_dropout)
    train(
        model,
        TransferSet.of_split(task.train),
        task.validation,
        shorten(teaching.schedule, quick),
        seed=seed,
        checkpoint=KEPT / f"{key}.pt",
    )
    return ModuleTeacher(model=model)


def soften(teacher: ModuleTeacher, temperature: float, alpha: float) -> Distillation:
    """To learn a teacher's soft targets, and labels where alpha leaves some weight to them."""
    return Distillation(
        teachers=(teacher,), loss=SoftTargets(temperature=temperature), alpha=alpha, cache=KEPT / "answers"
    )


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


def share_of_gap(alone: float, distilled: float, teacher: float) -> float:
    """`gap_recovered`, or 0 where there is no gap, as a quick form may find."""
    return gap_recovered(alone, distilled, teacher) if teacher != alone else 0.0


def checkpoint_in(folder: Path) -> Path:
    """Where a trial's student keeps how far it has come."""
    return folder / "student.pt"
