"""Whom to learn from and how much, checked before anything trains, and the loss that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.distill.device import Device
from compress.distill.features import FeatureMatch, make_projectors, match_loss
from compress.distill.losses import LogitObjective, LogitRegression, SoftTargets
from compress.distill.teachers import Combine, ModuleTeacher, Teacher
from compress.distill.transfer import TransferSet
from compress.errors import DataError, ModelError

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
        of_logits = isinstance(self.loss, LogitRegression) or getattr(self.loss, "standardize", False)
        if len(self.teachers) > 1 and self.combine == "mean_probability" and of_logits:
            raise ModelError(
                f"distill: {type(self.loss).__name__} learns logits, and the mean of probabilities has none of its own;"
                " expected a mean of logits; write combine: mean_logit"
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
        ModelError: outputs, class counts, losses, layers or shapes do not fit.
    """
    _check_labels(transfer, distillation)
    probe = torch.from_numpy(transfer.inputs[:2])
    classes = _count_classes(model, probe)
    if transfer.labels is not None and not 0 <= transfer.labels.min() <= transfer.labels.max() < classes:
        raise DataError(
            f"{transfer.name}: labels reach from {transfer.labels.min()} to {transfer.labels.max()}; expected 0 to"
            f" {classes - 1}, as the student has {classes} classes; correct the labels or the student"
        )
    if distillation is None:
        return []
    if distillation.alpha > 0 and classes < distillation.loss.min_classes:
        other = "SoftTargets or LogitRegression" if classes > 1 else "LogitRegression"
        raise ModelError(
            f"distill: {type(distillation.loss).__name__} means nothing with {classes} classes; expected at least"
            f" {distillation.loss.min_classes}; use {other}"
        )
    ours = {id(parameter) for parameter in model.parameters()}
    for teacher in distillation.teachers:
        if isinstance(teacher, ModuleTeacher) and any(id(each) in ours for each in teacher.model.parameters()):
            raise ModelError(
                "distill: teacher and student share weights; expected a teacher that stays as it is; give it a copy"
                " (copy.deepcopy)"
            )
        theirs = teacher.logits(probe, device).shape[-1]
        if theirs != classes:
            raise ModelError(
                f"distill: the teacher has {theirs} classes, the student {classes}; expected as many; build both for"
                " the same task"
            )
    return _projectors(model, probe, distillation)


def _check_labels(transfer: TransferSet, distillation: Distillation | None) -> None:
    if transfer.labels is not None:
        return
    if distillation is None:
        needed = "cross-entropy"
    elif distillation.loss.needs_labels and distillation.alpha > 0:
        needed = type(distillation.loss).__name__
    elif distillation.alpha < 1 and not (distillation.alpha == 0 and distillation.features):
        needed = f"alpha {distillation.alpha:g}"
    else:
        return
    raise DataError(
        f"{transfer.name}: has no labels, which {needed} needs; expected labels, or alpha: 1 and a loss on soft targets"
        " alone (alpha: 0 for features alone); add labels or change the loss"
    )


@torch.no_grad()
def _count_classes(model: nn.Module, probe: Tensor) -> int:
    training = model.training
    answer = model.eval()(probe)
    model.train(training)
    if not isinstance(answer, Tensor) or answer.ndim != 2 or len(answer) != len(probe):
        got = f"shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
        raise ModelError(
            f"{type(model).__name__}: returned {got} for {len(probe)} samples; expected logits ({len(probe)}, classes);"
            " return one tensor, or wrap the model so that it does"
        )
    return answer.shape[1]


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


def _spell(objective: object) -> str:
    """The same text in every process: a class without a repr of its own would show its address."""
    kind = f"{type(objective).__module__}.{type(objective).__qualname__}"
    if is_dataclass(objective):
        return f"{kind} {[(field.name, getattr(objective, field.name)) for field in fields(objective)]}"
    return f"{kind} {sorted(vars(objective).items())}"


def _projectors(model: nn.Module, probe: Tensor, distillation: Distillation) -> list[nn.Module]:
    if not distillation.features:
        return []
    teacher = distillation.teachers[0]
    assert isinstance(teacher, ModuleTeacher)  # checked when the Distillation was made
    return make_projectors(model, teacher.model.cpu(), distillation.features, probe)
