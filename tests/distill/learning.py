"""Digits, tiny networks and a short schedule, for everything that trains."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from compress.distill import Augment, Distillation, Epoch, ModuleTeacher, Schedule, SoftTargets, TransferSet, train
from compress.models.mobile import mobile_cnn
from compress.tasks import Task

SCHEDULE = Schedule(epochs=3, batch_size=64, learning_rate=0.1, augment=Augment(pad=1, flip=False), views=2)


def build(seed: int = 0, classes: int = 10) -> nn.Module:
    torch.manual_seed(seed)
    return mobile_cnn(in_channels=1, classes=classes, widths=(8, 16, 24), strides=(1, 1, 2))


def taught_by(*teachers: nn.Module, cache: Path | None = None, alpha: float = 0.9) -> Distillation:
    return Distillation(
        teachers=tuple(ModuleTeacher(model=teacher) for teacher in teachers),
        loss=SoftTargets(temperature=4.0),
        alpha=alpha,
        cache=cache,
    )


def learn(
    model: nn.Module,
    task: Task,
    checkpoint: Path,
    *,
    schedule: Schedule = SCHEDULE,
    seed: int = 0,
    distillation: Distillation | None = None,
    transfer: TransferSet | None = None,
) -> tuple[Epoch, ...]:
    return train(
        model,
        transfer or TransferSet.of_split(task.train),
        task.validation,
        schedule,
        seed=seed,
        checkpoint=checkpoint,
        distillation=distillation,
    )


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
