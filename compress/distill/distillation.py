"""Whom to learn from and how much, checked before anything trains, and the teacher's answers step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.distill.device import Device
from compress.distill.features import FeatureMatch, LayerTap, make_projectors, match_loss
from compress.distill.losses import FeatureObjective, LogitObjective, SoftTargets
from compress.distill.schedule import Schedule
from compress.distill.teacher_cache import CacheKey, TeacherCache, to_half
from compress.distill.teachers import Combine, ModuleTeacher, Teacher, combine_logits
from compress.distill.transfer import TransferSet
from compress.errors import DataError, ModelError

Advance = Callable[[int, int, str], None]
"""Called with (epochs done, epochs in all, one line that says how it stands)."""

DEFAULT = SoftTargets()


@dataclass(frozen=True, kw_only=True, eq=False)
class Distillation:
    """What a student is trained on beside its labels, or without any.

    teachers: one or several.
    loss: on logits.
    alpha: weight of that loss; the labels' cross-entropy has 1 - alpha.
    combine: how several teachers become one target.
    features: pairs of layers that are to agree as well; they need a teacher that is asked live.
    cache: folder below which the teachers' answers are kept; None asks them at every step.
    """

    teachers: tuple[Teacher, ...]
    loss: LogitObjective = DEFAULT
    alpha: float = 0.9
    combine: Combine = "mean_probability"
    features: tuple[FeatureMatch, ...] = ()
    cache: Path | None = None

    def __post_init__(self) -> None:
        if not self.teachers:
            raise ModelError("distill: no teacher; expected at least one; name one, or leave distill out")
        if not 0 <= self.alpha <= 1:
            raise ModelError(f"distill: alpha is {self.alpha:g}; expected 0 to 1; correct it")
        if self.features and (len(self.teachers) > 1 or not isinstance(self.teachers[0], ModuleTeacher)):
            raise ModelError(
                "distill: features are matched with several teachers or with a callable; expected one torch module;"
                " leave features out, or keep one teacher"
            )

    @property
    def asks_teachers(self) -> bool:
        """Whether the teachers' answers change anything."""
        return self.alpha > 0 or bool(self.features)

    def describe(self) -> str:
        """Everything the result depends on, as text."""
        teachers = [each.identity for each in self.teachers]
        matches = [(each.student_layer, each.teacher_layer, _spell(each.loss), each.project) for each in self.features]
        return repr((teachers, _spell(self.loss), self.alpha, self.combine, matches))


def check_distillation(
    model: nn.Module, transfer: TransferSet, distillation: Distillation | None, device: Device
) -> list[nn.Module]:
    """Refuse what cannot train, before it does.

    Returns:
        A projector for each pair of features.

    Raises:
        DataError: labels are missing.
        ModelError: class counts, losses, layers or shapes do not fit.
    """
    loss_name = type(distillation.loss).__name__ if distillation else "cross-entropy"
    if transfer.labels is None and (
        distillation is None or distillation.alpha < 1 or (distillation.loss.needs_labels and distillation.alpha > 0)
    ):
        raise DataError(
            f"{transfer.name}: has no labels, which {loss_name} with alpha"
            f" {distillation.alpha if distillation else 0:g} needs; expected labels, or alpha: 1 and a loss on soft"
            " targets alone; add labels or change the loss"
        )
    probe = torch.from_numpy(transfer.inputs[:2])
    training = model.training
    with torch.no_grad():
        classes = model.eval()(probe).shape[-1]
    model.train(training)
    if transfer.labels is not None and not 0 <= transfer.labels.min() <= transfer.labels.max() < classes:
        raise DataError(
            f"{transfer.name}: labels reach from {transfer.labels.min()} to {transfer.labels.max()}; expected 0 to"
            f" {classes - 1}, as the student has {classes} classes; correct the labels or the student"
        )
    if distillation is None:
        return []
    if distillation.alpha > 0 and classes < distillation.loss.min_classes:
        raise ModelError(
            f"distill: {loss_name} means nothing with {classes} classes; expected at least"
            f" {distillation.loss.min_classes}; use SoftTargets or LogitRegression"
        )
    for teacher in distillation.teachers:
        theirs = teacher.logits(probe, device).shape[-1]
        if theirs != classes:
            raise ModelError(
                f"distill: the teacher has {theirs} classes, the student {classes}; expected as many; build both for"
                " the same task"
            )
    return _projectors(model, probe, distillation)


class Answers:
    """The teachers' answers, batch by batch: from the cache, or asked live."""

    def __init__(
        self, distillation: Distillation, transfer: TransferSet, schedule: Schedule, seed: int, device: Device
    ) -> None:
        self._distillation, self._device, self._count = distillation, device, len(transfer)
        self._caches = [
            TeacherCache(distillation.cache / key.digest, key)
            for teacher in distillation.teachers
            for key in [CacheKey.of(teacher, transfer, schedule.augment, seed, device)]
            if distillation.cache
        ]
        self._table: Tensor | None = None
        self._table_view: int | None = None
        first = distillation.teachers[0]
        self._teacher = first if distillation.features and isinstance(first, ModuleTeacher) else None
        paths = [match.teacher_layer for match in distillation.features]
        self._tap = LayerTap(self._teacher.model, paths, "teacher") if self._teacher else None

    def start(self, view: int) -> None:
        """Make ready for a view's batches."""
        if self._caches and not self._tap and view != self._table_view:
            tables = [cache.require(view, self._count).float() for cache in self._caches]
            self._table, self._table_view = self._combine(tables).to(self._device.name), view

    def of(self, inputs: Tensor, index: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Target logits (batch, classes), and the teacher's features of each match."""
        if self._table is not None:
            return self._table[index], ()
        answers = [to_half(teacher.logits(inputs, self._device)).float() for teacher in self._distillation.teachers]
        return self._combine(answers), self._tap.take() if self._tap else ()

    def close(self) -> None:
        """Stop watching the teacher's layers."""
        if self._tap:
            self._tap.close()

    def _combine(self, answers: Sequence[Tensor]) -> Tensor:
        return combine_logits(answers, self._distillation.combine, self._distillation.loss.temperature)


def ask_teachers(
    distillation: Distillation,
    transfer: TransferSet,
    schedule: Schedule,
    *,
    seed: int,
    device: Device,
    advance: Advance | None = None,
) -> int:
    """Fill the cache with all that a training will ask.

    Returns:
        How many times a teacher went through the whole transfer set; 0 if everything was there, or no cache is kept.

    Raises:
        ModelError: see `TeacherCache.fill`.
    """
    if distillation.cache is None or not distillation.asks_teachers or distillation.features:
        return 0
    asked = 0
    for number, teacher in enumerate(distillation.teachers, start=1):
        key = CacheKey.of(teacher, transfer, schedule.augment, seed, device)
        cache = TeacherCache(distillation.cache / key.digest, key)
        for done, view in enumerate(views := schedule.all_views(), start=1):
            asked += cache.fill(teacher, transfer, schedule.augment, view, device)
            if advance:
                advance(0, schedule.epochs, f"asked teacher {number} about view {done} of {len(views)}")
    return asked


def training_loss(
    distillation: Distillation | None,
    student: tuple[Tensor, tuple[Tensor, ...]],
    teacher: tuple[Tensor, tuple[Tensor, ...]] | None,
    labels: Tensor | None,
    label_smoothing: float,
) -> Tensor:
    """The scalar that a step lowers, in nats.

    Args:
        distillation: None to train on labels alone.
        student: logits (batch, classes) and features.
        teacher: likewise; None where no teacher is asked.
        labels: (batch,) class indices.
        label_smoothing: of the labels' cross-entropy.
    """
    logits, features = student
    terms: list[Tensor] = []
    if labels is not None and (distillation is None or distillation.alpha < 1):
        hard = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
        terms.append(hard if distillation is None or distillation.alpha == 0 else (1 - distillation.alpha) * hard)
    if distillation and teacher:
        if distillation.alpha > 0:
            terms.append(distillation.alpha * distillation.loss(logits, teacher[0], labels))
        for match, ours, theirs in zip(distillation.features, features, teacher[1], strict=True):
            terms.append(match_loss(match, ours, theirs))
    return torch.stack(terms).sum() if len(terms) > 1 else terms[0]


def _spell(objective: LogitObjective | FeatureObjective) -> str:
    """The same text in every process: a class without a repr of its own would show its address."""
    return f"{type(objective).__module__}.{type(objective).__qualname__} {sorted(vars(objective).items())}"


def _projectors(model: nn.Module, probe: Tensor, distillation: Distillation) -> list[nn.Module]:
    if not distillation.features:
        return []
    teacher = distillation.teachers[0]
    assert isinstance(teacher, ModuleTeacher)  # checked when the Distillation was made
    return make_projectors(model, teacher.model.cpu(), distillation.features, probe)
