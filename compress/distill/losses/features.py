"""What a student learns from inside a teacher. Each loss is one pure tensor function, computed in float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from compress.distill.losses.precision import in_float32


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of two features (FitNets, Romero et al. 2015).

    Args:
        student: (batch, ...), any float type; computed in float32. Projected to the teacher's shape beforehand.
        teacher: the same shape.

    Returns:
        Scalar, averaged over all elements.

    Raises:
        ValueError: the shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"student features are {tuple(student.shape)}, teacher features {tuple(teacher.shape)};"
            " expected equal shapes; project the student's"
        )
    _check_batch(student, teacher)
    with in_float32(student, teacher) as (a, b):
        return F.mse_loss(a, b)


def attention_transfer_loss(student: Tensor, teacher: Tensor, p: float = 2.0) -> Tensor:
    """Squared difference of the maps of where two networks look (Zagoruyko & Komodakis 2017, section 3.1).

    A map is the sum of |activation|**p over the channels, scaled to length 1 per sample. The mean over its elements is
    that of the authors' code, whose weight is 1000. Where the resolutions differ the larger map is averaged down; the
    map, not the activations, whose signs would cancel.

    Args:
        student: (batch, channels, height, width), any float type; computed in float32.
        teacher: (batch, channels, height, width); channels and resolution may differ.
        p: >= 1; higher attends to the peaks.

    Returns:
        Scalar, averaged over the batch and the positions.

    Raises:
        ValueError: the shapes do not fit, or p < 1.
    """
    _check_batch(student, teacher)
    if student.ndim != 4 or teacher.ndim != 4:
        raise ValueError(
            f"student features are {tuple(student.shape)}, teacher features {tuple(teacher.shape)};"
            " expected (batch, channels, height, width)"
        )
    if not p >= 1:
        raise ValueError(f"p must be at least 1, got {p:g}")
    size = (min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3]))
    with in_float32(student, teacher) as features:
        student_map, teacher_map = (_attention(feature, p, size) for feature in features)
        return F.mse_loss(student_map, teacher_map)


def rkd_distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss between the distances of every two samples, relative to their mean (Park et al. 2019, section 3.2.1).

    Args:
        student: (batch, ...), flattened; any float type; computed in float32.
        teacher: (batch, ...), flattened; the widths may differ.

    Returns:
        Scalar, averaged over the pairs of distinct samples; 0 in a batch of one.

    Raises:
        ValueError: the batches differ or are empty.
    """
    _check_batch(student, teacher)
    pairs = len(student) * (len(student) - 1) // 2
    with in_float32(student, teacher) as (a, b):
        return F.smooth_l1_loss(_relative_distances(a), _relative_distances(b), reduction="sum") / max(pairs, 1)


def rkd_angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss between the cosines of the angles of every three samples (Park et al. 2019, section 3.2.2).

    Takes memory for batch**2 * width and batch**3 floats, so it is for a network's last, pooled features. Samples that
    coincide have no direction: their cosines count as 0.

    Args:
        student: (batch, ...), flattened; any float type; computed in float32.
        teacher: (batch, ...), flattened; the widths may differ.

    Returns:
        Scalar, averaged over the triplets of distinct samples; 0 in a batch of one or two.

    Raises:
        ValueError: the batches differ or are empty.
    """
    _check_batch(student, teacher)
    batch = len(student)
    triplets = batch * (batch - 1) * (batch - 2)
    with in_float32(student, teacher) as (a, b):
        return F.smooth_l1_loss(_cosines(a), _cosines(b), reduction="sum") / max(triplets, 1)


def _attention(feature: Tensor, p: float, size: tuple[int, int]) -> Tensor:
    """(batch, height * width) of length 1. Pooled only where it must be: on CUDA its gradient is not deterministic."""
    attention = feature.abs().pow(p).sum(1)
    if attention.shape[1:] != size:
        attention = F.adaptive_avg_pool2d(attention, size)
    return F.normalize(attention.flatten(1))


def _relative_distances(feature: Tensor) -> Tensor:
    """(pairs,). `pdist` has a gradient of 0 at distance 0, where that of a square root is infinite."""
    distances = torch.pdist(feature.flatten(1))
    return distances / (distances.sum() / max(len(distances), 1)).clamp_min(torch.finfo(feature.dtype).tiny)


def _cosines(feature: Tensor) -> Tensor:
    """(batch, batch, batch): of the angle at sample i between j and k; 0 where two of the three are the same."""
    feature = feature.flatten(1)
    differences = feature.unsqueeze(0) - feature.unsqueeze(1)
    squared = differences.square().sum(2, keepdim=True)
    # Chosen before the square root, so that the gradient of coincident samples is finite.
    directions = differences / torch.where(squared > 0, squared, 1).sqrt()
    distinct = 1 - torch.eye(len(feature), dtype=feature.dtype, device=feature.device)
    return directions @ directions.transpose(1, 2) * distinct


def _check_batch(student: Tensor, teacher: Tensor) -> None:
    if student.ndim < 2 or teacher.ndim < 2 or len(student) != len(teacher) or len(student) == 0:
        raise ValueError(
            f"student features are {tuple(student.shape)}, teacher features {tuple(teacher.shape)};"
            " expected (batch, ...) of the same batch, at least one sample"
        )
