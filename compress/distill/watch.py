"""What is seen of a training while it runs: the student, the teacher, and how far they agree."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compress.distill.answers import Advance, answers_about
from compress.distill.device import Device
from compress.distill.distillation import Distillation
from compress.distill.teachers import logits_of
from compress.tasks.task import Split


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """How one epoch ended.

    loss: mean training loss, in nats.
    validation_accuracy: of the student.
    agreement: share of validation images to which student and teacher give the same class; None without a teacher.
    """

    loss: float
    validation_accuracy: float
    agreement: float | None = None


class Watch:
    """Measures each epoch on the validation split and tells the user."""

    def __init__(
        self,
        validation: Split,
        distillation: Distillation | None,
        device: Device,
        first: int,
        epochs: int,
        advance: Advance | None,
    ) -> None:
        """Ask the teachers about the validation split, once.

        Args:
            validation: images to watch.
            distillation: the teachers, or None.
            device: where to compute.
            first: epochs that were done before.
            epochs: in all.
            advance: told after each epoch.
        """
        self._images = torch.from_numpy(validation.images)
        self._labels = torch.from_numpy(validation.labels)
        self._device, self._first, self._epochs, self._advance = device, first, epochs, advance
        self._teacher: Tensor | None = None
        if distillation:
            self._teacher = answers_about(distillation, validation, device).argmax(1).cpu()
        self._started = time.perf_counter()

    def end_of_epoch(self, done: int, student: nn.Module, loss: float) -> Epoch:
        """Measure the student after `done` epochs."""
        classes = logits_of(student, self._images, self._device).argmax(1).cpu()
        epoch = Epoch(
            loss=loss,
            validation_accuracy=_share(classes, self._labels),
            agreement=None if self._teacher is None else _share(classes, self._teacher),
        )
        if self._advance:
            self._advance(done, self._epochs, self._describe(epoch, done))
        return epoch

    def _describe(self, epoch: Epoch, done: int) -> str:
        parts = [f"loss {epoch.loss:.4f}", f"validation accuracy {epoch.validation_accuracy:.4f}"]
        if self._teacher is not None:
            parts += [f"teacher {_share(self._teacher, self._labels):.4f}", f"agreement {epoch.agreement:.4f}"]
        left = (time.perf_counter() - self._started) / (done - self._first) * (self._epochs - done)
        return " · ".join([*parts, f"{left:.0f} s left"])


def _share(one: Tensor, other: Tensor) -> float:
    return float((one == other).float().mean())
