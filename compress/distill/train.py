"""The training loop: one, for teachers and students, with a teacher and without.

- Deterministic per (seed, epoch, sample): the learning rate, the order and the views are functions of the step, the
  epoch and the seed, so a checkpoint holds weights and momentum, and nothing else.
- The teacher is asked once per view. Its logits are a table beside the images, gone through in the same fixed order
  whether the run was interrupted or not.
- It ends with the last epoch's weights; the validation split is watched, never used to choose an epoch.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.distill.device import Device, choose_device
from compress.distill.losses import distillation_loss
from compress.distill.views import Augment, make_view
from compress.errors import DataError, ModelError
from compress.tasks.task import Split

Advance = Callable[[int, int, str], None]
"""Called with (epochs done, epochs in all, one line that says how it stands)."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast to train: SGD with Nesterov momentum, linear warm-up, linear decay to zero.

    views: each image is seen in this many views, epoch e in view e modulo views; 0 for a new view every epoch.
    weight_decay: of weights alone; biases and batch norms have none.
    warmup_fraction: share of the steps in which the learning rate climbs to its peak.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 5e-4
    momentum: float = 0.9
    warmup_fraction: float = 0.2
    label_smoothing: float = 0.0
    views: int = 0
    augment: Augment | None = None

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step of `steps`."""
        warmup = self.warmup_fraction * steps
        if step < warmup:
            return self.learning_rate * (step + 1) / (warmup + 1)
        return self.learning_rate * (steps - step) / (steps - warmup)


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Whom to learn from, and how much (see `distillation_loss`)."""

    teacher: nn.Module
    temperature: float
    alpha: float


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """How one epoch ended: mean training loss in nats, accuracy on the validation split."""

    loss: float
    validation_accuracy: float


def train(
    model: nn.Module,
    train_split: Split,
    validation: Split,
    schedule: Schedule,
    *,
    seed: int,
    checkpoint: Path,
    distillation: Distillation | None = None,
    advance: Advance | None = None,
) -> tuple[Epoch, ...]:
    """Train a model in place, on labels or on labels and a teacher.

    Args:
        model: maps (batch, channels, height, width) in [0, 1] to logits (batch, classes).
        train_split: images and labels to learn from.
        validation: images to watch.
        schedule: epochs, batch size, learning rate, views.
        seed: of order and views.
        checkpoint: file that is written after each epoch, and continued from if it is there.
        distillation: the teacher and its weight; None to train on labels alone.
        advance: told after each epoch.

    Returns:
        One entry per epoch, of those before an interruption too.

    Raises:
        DataError: a split is the test split, or a batch is larger than the training split.
        ModelError: the loss is not finite; the checkpoint of the last good epoch stays.
    """
    if "test" in (train_split.name, validation.name):
        raise DataError(
            "train: got the test split; expected train and validation; the test split is for the final measurement only"
        )
    if schedule.batch_size > len(train_split):
        raise DataError(
            f"train: batch_size {schedule.batch_size} exceeds the {len(train_split)} training images; lower batch_size"
        )
    device = choose_device()
    model.to(device.name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(model, schedule)
    history = _resume(model, optimizer, checkpoint, device)
    images = torch.from_numpy(train_split.images).to(device.name)
    labels = torch.from_numpy(train_split.labels).to(device.name)
    views = _Views(images, schedule, seed, distillation.teacher if distillation else None, device)
    started, first = time.perf_counter(), len(history)
    for epoch in range(first, schedule.epochs):
        inputs, teacher_logits = views.of_epoch(epoch)

        def loss_of(logits: Tensor, index: Tensor, teacher_logits: Tensor | None = teacher_logits) -> Tensor:
            if distillation is None or teacher_logits is None:
                return F.cross_entropy(logits.float(), labels[index], label_smoothing=schedule.label_smoothing)
            return distillation_loss(
                logits, teacher_logits[index], labels[index], distillation.temperature, distillation.alpha
            )

        torch.manual_seed(seed * 1_000_003 + epoch)  # of dropout, so that it too survives an interruption
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        loss = _train_epoch(model, optimizer, schedule, epoch, inputs, order.to(device.name), loss_of, device)
        if not math.isfinite(loss):
            raise ModelError(
                f"train: the loss became {loss} in epoch {epoch + 1}; expected a finite number;"
                f" lower learning_rate ({schedule.learning_rate:g})"
            )
        accuracy = float((predict(model, validation) == torch.from_numpy(validation.labels)).float().mean())
        history.append(Epoch(loss=loss, validation_accuracy=accuracy))
        _save(model, optimizer, history, checkpoint)
        if advance:
            left = (time.perf_counter() - started) / (epoch + 1 - first) * (schedule.epochs - epoch - 1)
            text = f"loss {loss:.4f} · validation accuracy {accuracy:.4f} · {left:.0f} s left"
            advance(epoch + 1, schedule.epochs, text)
    model.cpu().eval()
    return tuple(history)


@torch.no_grad()
def logits_of(model: nn.Module, images: Tensor, device: Device, batch_size: int = 500) -> Tensor:
    """Logits (n, classes) in float32 of images (n, channels, height, width), in evaluation mode, under no_grad."""
    model.to(device.name).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    batches = []
    for batch in images.split(batch_size):
        with device.autocast():
            batches.append(model(batch.to(device.name, memory_format=torch.channels_last)).float())
    return torch.cat(batches)


def predict(model: nn.Module, split: Split) -> Tensor:
    """The class (n,) that the model gives each image of a split the highest logit for, on the CPU."""
    return logits_of(model, torch.from_numpy(split.images), choose_device()).argmax(1).cpu()


class _Views:
    """The images of each epoch, with the teacher's logits of just these views, computed once per view."""

    def __init__(
        self, images: Tensor, schedule: Schedule, seed: int, teacher: nn.Module | None, device: Device
    ) -> None:
        self._images, self._schedule, self._seed = images, schedule, seed
        self._teacher, self._device = teacher, device
        self._logits: dict[int, Tensor] = {}

    def of_epoch(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        view = epoch % self._schedule.views if self._schedule.views else epoch
        images = make_view(self._images, self._schedule.augment, seed=self._seed, view=view)
        if self._teacher is None:
            return images, None
        key = view if self._schedule.augment is not None else 0
        if key not in self._logits:
            self._logits[key] = logits_of(self._teacher, images, self._device)
        return images, self._logits[key]


def _optimizer(model: nn.Module, schedule: Schedule) -> torch.optim.SGD:
    weights = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": schedule.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, schedule.learning_rate, momentum=schedule.momentum, nesterov=schedule.momentum > 0)


def _batches(order: Tensor, batch_size: int) -> Iterator[Tensor]:
    for start in range(0, len(order) - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.SGD,
    schedule: Schedule,
    epoch: int,
    inputs: Tensor,
    order: Tensor,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    device: Device,
) -> float:
    per_epoch = len(order) // schedule.batch_size
    total = torch.zeros((), device=device.name)
    model.train()
    for batch, index in enumerate(_batches(order, schedule.batch_size)):
        rate = schedule.rate(epoch * per_epoch + batch, schedule.epochs * per_epoch)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with device.autocast():
            logits = model(inputs[index].contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits, index)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return float(total) / per_epoch


def _save(model: nn.Module, optimizer: torch.optim.SGD, history: list[Epoch], path: Path) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [(epoch.loss, epoch.validation_accuracy) for epoch in history],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _resume(model: nn.Module, optimizer: torch.optim.SGD, path: Path, device: Device) -> list[Epoch]:
    if not path.exists():
        return []
    state = torch.load(path, map_location=device.name, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return [Epoch(loss=loss, validation_accuracy=accuracy) for loss, accuracy in state["history"]]
