"""What a recipe can ask a student to learn: the class is the method's name, its fields are all of its options.

Every objective on logits is called with (student logits, teacher logits, labels or None), every objective on features
with (student feature, teacher feature); each returns a scalar. What they compute is in `logits` and `features`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from compress.distill.losses.features import (
    attention_transfer_loss,
    hint_loss,
    rkd_angle_loss,
    rkd_distance_loss,
)
from compress.distill.losses.logits import (
    dist_loss,
    dkd_loss,
    kd_loss,
    logit_regression_loss,
    standardize_logits,
)
from compress.errors import RecipeError


class LogitObjective(Protocol):
    """What is learnt from logits.

    needs_labels: whether it cannot be called without labels.
    min_classes: with fewer classes it says nothing about the logits.
    temperature: where the probabilities of several teachers are averaged.
    """

    @property
    def needs_labels(self) -> bool: ...
    @property
    def min_classes(self) -> int: ...
    @property
    def temperature(self) -> float: ...

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor | None) -> Tensor: ...


class FeatureObjective(Protocol):
    """What is learnt from a layer's output.

    weight: of the loss; the call returns the loss times the weight.
    needs_same_shape: whether a projector must bring the student's feature to the teacher's shape.
    """

    @property
    def weight(self) -> float: ...
    @property
    def needs_same_shape(self) -> bool: ...

    def __call__(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class SoftTargets:
    """The teacher's softened probabilities (`kd_loss`), of standardised logits if asked (`standardize_logits`).

    temperature: > 0. Standardised logits have a spread of 1, so theirs is lower: the authors use 2.
    """

    temperature: float = 4.0
    standardize: bool = False
    needs_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_above_zero(self, "temperature")

    @property
    def min_classes(self) -> int:
        """Two, or three standardised: two standardised logits are always 0.7071 and -0.7071."""
        return 3 if self.standardize else 2

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor | None) -> Tensor:  # noqa: ARG002
        """Scalar; needs no labels."""
        if self.standardize:
            student_logits, teacher_logits = standardize_logits(student_logits), standardize_logits(teacher_logits)
        return kd_loss(student_logits, teacher_logits, self.temperature)


@dataclass(frozen=True, kw_only=True)
class LogitRegression:
    """The teacher's logits themselves (`logit_regression_loss`): for one output or two, and for regression."""

    needs_labels: ClassVar[bool] = False
    min_classes: ClassVar[int] = 1
    temperature: ClassVar[float] = 1.0

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor | None) -> Tensor:  # noqa: ARG002
        """Scalar; needs no labels."""
        return logit_regression_loss(student_logits, teacher_logits)


@dataclass(frozen=True, kw_only=True)
class DKD:
    """Target class and other classes apart (`dkd_loss`), of standardised logits if asked.

    alpha, beta: weights of the two, not both 0. The authors choose a beta between 2 and 8 for each pair of networks.
    """

    temperature: float = 4.0
    alpha: float = 1.0
    beta: float = 8.0
    standardize: bool = False
    needs_labels: ClassVar[bool] = True
    min_classes: ClassVar[int] = 3

    def __post_init__(self) -> None:
        _check_above_zero(self, "temperature")
        _check_weights(self, "alpha", "beta")

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor | None) -> Tensor:
        """Scalar; ValueError without labels."""
        if labels is None:
            raise ValueError("DKD: labels are None; expected one class index per sample")
        if self.standardize:
            student_logits, teacher_logits = standardize_logits(student_logits), standardize_logits(teacher_logits)
        return dkd_loss(student_logits, teacher_logits, labels, self.temperature, self.alpha, self.beta)


@dataclass(frozen=True, kw_only=True)
class DIST:
    """The teacher's preferences, within a sample and within a batch (`dist_loss`).

    inter, intra: weights of the two, not both 0.
    """

    temperature: float = 1.0
    inter: float = 1.0
    intra: float = 1.0
    needs_labels: ClassVar[bool] = False
    min_classes: ClassVar[int] = 3

    def __post_init__(self) -> None:
        _check_above_zero(self, "temperature")
        _check_weights(self, "inter", "intra")

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor | None) -> Tensor:  # noqa: ARG002
        """Scalar; needs no labels."""
        return dist_loss(student_logits, teacher_logits, self.temperature, self.inter, self.intra)


@dataclass(frozen=True, kw_only=True)
class Hint:
    """The feature itself (`hint_loss`). Published weight: 100."""

    weight: float
    needs_same_shape: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_above_zero(self, "weight")

    def __call__(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
        """Scalar, times the weight."""
        return self.weight * hint_loss(student_feature, teacher_feature)


@dataclass(frozen=True, kw_only=True)
class AttentionTransfer:
    """Where the network looks (`attention_transfer_loss`). Published weight: 1000.

    p: >= 1; higher attends to the peaks.
    """

    weight: float
    p: float = 2.0
    needs_same_shape: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_above_zero(self, "weight")
        if not 1 <= self.p < math.inf:
            raise RecipeError(f"AttentionTransfer: p is {self.p!r}; expected a finite number, at least 1; correct it")

    def __call__(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
        """Scalar, times the weight."""
        return self.weight * attention_transfer_loss(student_feature, teacher_feature, self.p)


@dataclass(frozen=True, kw_only=True)
class RelationalDistance:
    """How far samples are from each other (`rkd_distance_loss`). Published weight: 25."""

    weight: float
    needs_same_shape: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_above_zero(self, "weight")

    def __call__(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
        """Scalar, times the weight."""
        return self.weight * rkd_distance_loss(student_feature, teacher_feature)


@dataclass(frozen=True, kw_only=True)
class RelationalAngle:
    """In which directions samples are from each other (`rkd_angle_loss`). Published weight: 50."""

    weight: float
    needs_same_shape: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_above_zero(self, "weight")

    def __call__(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
        """Scalar, times the weight."""
        return self.weight * rkd_angle_loss(student_feature, teacher_feature)


def _check_above_zero(objective: object, field: str) -> None:
    value = getattr(objective, field)
    if not 0 < value < math.inf:
        raise RecipeError(
            f"{type(objective).__name__}: {field} is {value!r}; expected a finite number above 0; correct it"
        )


def _check_weights(objective: object, *fields: str) -> None:
    values = [getattr(objective, field) for field in fields]
    if not all(0 <= value < math.inf for value in values) or not any(values):
        got = ", ".join(f"{field} is {value!r}" for field, value in zip(fields, values, strict=True))
        raise RecipeError(
            f"{type(objective).__name__}: {got}; expected finite numbers, at least 0 and not both 0; correct them"
        )
