"""What a student learns from a teacher's logits. Each loss is one pure tensor function, computed in float32."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from compress.distill.losses.precision import in_float32

_LEAST_DEVIATION = 1e-3
"""A vector that deviates from its mean by less than this counts as constant: float16 logits around 1 are 1e-3 apart."""


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened class probabilities, times temperature squared.

    The factor keeps the gradient's size independent of the temperature (Hinton et al. 2015, section 2).

    Args:
        student_logits: (batch, classes), any float type; computed in float32.
        teacher_logits: (batch, classes).
        temperature: > 0; higher is softer.

    Returns:
        Scalar, in nats, averaged over the batch.

    Raises:
        ValueError: the shapes differ, or temperature <= 0.
    """
    _check(student_logits, teacher_logits)
    _check_temperature(temperature)
    with in_float32(student_logits, teacher_logits) as (student, teacher):
        student, teacher = F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
        return _divergence(student, teacher) * temperature**2


def logit_regression_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Half the squared distance of the logits (Ba & Caruana 2014, equation 2).

    The logits are taken as they are, as in the paper: a student that is off by a constant predicts the same classes
    and still pays. With rows centred it is `classes` times the limit of `kd_loss` at high temperature.

    Args:
        student_logits: (batch, classes), any float type; computed in float32.
        teacher_logits: (batch, classes).

    Returns:
        Scalar, in squared logits, summed over the classes and averaged over the batch.

    Raises:
        ValueError: the shapes differ.
    """
    _check(student_logits, teacher_logits)
    with in_float32(student_logits, teacher_logits) as (student, teacher):
        return (student - teacher).square().sum(1).mean() / 2


def dkd_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, alpha: float, beta: float
) -> Tensor:
    """Decoupled distillation: alpha * (target or not) + beta * (which of the others), times temperature squared.

    `kd_loss` is the first divergence plus the second one times the teacher's probability of all other classes, so it
    hardly transfers the second where the teacher is sure; here beta alone weighs it (Zhao et al. 2022, section 3).
    With two classes there is one other class, and the second divergence is 0 whatever the logits.

    Args:
        student_logits: (batch, classes), any float type; computed in float32. At least two classes.
        teacher_logits: (batch, classes).
        labels: (batch,) class indices.
        temperature: > 0; higher is softer.
        alpha: weight of the target class against all others.
        beta: weight of the distribution over the others.

    Returns:
        Scalar, in nats, averaged over the batch.

    Raises:
        ValueError: the shapes do not fit, there are fewer than two classes, or temperature <= 0.
    """
    _check(student_logits, teacher_logits, least_classes=2)
    _check_temperature(temperature)
    if labels.shape != student_logits.shape[:1]:
        raise ValueError(f"labels are {tuple(labels.shape)}; expected one for each of {len(student_logits)} rows")
    target = labels.unsqueeze(1)
    others = torch.arange(student_logits.shape[1] - 1, device=labels.device).expand(len(labels), -1)
    others = others + (others >= target)
    with in_float32(student_logits, teacher_logits) as (student, teacher):
        student, teacher = student / temperature, teacher / temperature
        binary = _divergence(_target_or_not(student, target, others), _target_or_not(teacher, target, others))
        among_others = _divergence(
            F.log_softmax(student.gather(1, others), 1), F.log_softmax(teacher.gather(1, others), 1)
        )
        return (alpha * binary + beta * among_others) * temperature**2


def dist_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float, inter: float, intra: float) -> Tensor:
    """One minus the Pearson correlation of softened probabilities, times temperature squared (Huang et al. 2022).

    Correlation asks for the teacher's preferences, not for its confidence, which a much smaller student cannot match.
    Vectors that are constant count as uncorrelated. With two classes a row's correlation is 1 or -1 whatever the
    logits; in a batch of one, each column is constant.

    Args:
        student_logits: (batch, classes), any float type; computed in float32.
        teacher_logits: (batch, classes).
        temperature: > 0; higher is softer.
        inter: weight of the correlation over the classes, averaged over the samples.
        intra: weight of the correlation over the batch, averaged over the classes.

    Returns:
        Scalar, from 0 to 2 * (inter + intra) * temperature**2.

    Raises:
        ValueError: the shapes differ, or temperature <= 0.
    """
    _check(student_logits, teacher_logits)
    _check_temperature(temperature)
    with in_float32(student_logits, teacher_logits) as (student, teacher):
        student, teacher = F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
        over_classes, over_batch = (1 - _correlation(student, teacher, dim).mean() for dim in (1, 0))
        return (inter * over_classes + intra * over_batch) * temperature**2


def standardize_logits(logits: Tensor) -> Tensor:
    """Each row's z-scores, so that the student need not match the size of the teacher's logits (Sun et al. 2024).

    The paper's loss is `kd_loss(standardize_logits(student), standardize_logits(teacher), temperature)`. The variance
    is divided by classes - 1, as in the authors' published code. A row whose standard deviation is below 1e-3 is
    divided by 1e-3, which bounds the gradient of a student whose logits are still all equal. With two classes the
    result is 0.7071 and -0.7071 whatever the logits.

    Args:
        logits: (batch, classes), any float type; computed in float32. At least two classes.

    Returns:
        (batch, classes) float32: mean 0 and standard deviation 1 in each row.

    Raises:
        ValueError: the shape does not fit, or there are fewer than two classes.
    """
    _check(logits, logits, least_classes=2)
    with in_float32(logits) as (wide,):
        variance, mean = torch.var_mean(wide, dim=1, keepdim=True)
        return (wide - mean) / variance.clamp_min(_LEAST_DEVIATION**2).sqrt()


def _divergence(student_log_p: Tensor, teacher_log_p: Tensor) -> Tensor:
    # "batchmean" sums over the classes; "mean" would divide by their number as well, and weaken the loss by it.
    return F.kl_div(student_log_p, teacher_log_p, reduction="batchmean", log_target=True)


def _target_or_not(scaled: Tensor, target: Tensor, others: Tensor) -> Tensor:
    """(batch, 2): log probabilities of the target class and of all others. log(1 - p) would be -inf where p is 1."""
    log_p = F.log_softmax(scaled, 1)
    return torch.cat([log_p.gather(1, target), log_p.gather(1, others).logsumexp(1, keepdim=True)], 1)


def _correlation(student_log_p: Tensor, teacher_log_p: Tensor, dim: int) -> Tensor:
    """Pearson's, along dim. It does not depend on scale, so each vector is first divided by its mean: the softmax of
    its logarithms does that even where the probabilities themselves, of a class that is in no sample, are 0."""
    size = student_log_p.shape[dim]
    student, teacher = (size * F.softmax(log_p, dim) - 1 for log_p in (student_log_p, teacher_log_p))
    return F.cosine_similarity(student, teacher, dim, eps=_LEAST_DEVIATION)


def _check(student_logits: Tensor, teacher_logits: Tensor, least_classes: int = 1) -> None:
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student logits are {tuple(student_logits.shape)}, teacher logits {tuple(teacher_logits.shape)};"
            " expected equal shapes"
        )
    if student_logits.ndim != 2 or len(student_logits) == 0 or student_logits.shape[1] < least_classes:
        raise ValueError(
            f"logits are {tuple(student_logits.shape)}; expected (batch, classes), at least one sample and"
            f" {least_classes} class{'es' if least_classes > 1 else ''}"
        )


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature:g}")
