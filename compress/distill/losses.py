"""What a student is trained on. Each loss is one pure tensor function, computed in float32."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


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
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student logits are {tuple(student_logits.shape)}, teacher logits {tuple(teacher_logits.shape)};"
            " expected equal shapes"
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature:g}")
    student = F.log_softmax(student_logits.float() / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits.float() / temperature, dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, alpha: float
) -> Tensor:
    """Cross-entropy with the labels, weighted 1 - alpha, plus `kd_loss`, weighted alpha.

    Args:
        student_logits: (batch, classes).
        teacher_logits: (batch, classes).
        labels: (batch,) class indices.
        temperature: > 0.
        alpha: weight of the distillation term, 0 to 1.

    Returns:
        Scalar, in nats, averaged over the batch.

    Raises:
        ValueError: as `kd_loss`, or alpha outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha:g}")
    hard = F.cross_entropy(student_logits.float(), labels)
    return (1 - alpha) * hard + alpha * kd_loss(student_logits, teacher_logits, temperature)
