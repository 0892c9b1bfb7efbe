"""How much of what a teacher is better by a student has learnt from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from compress.measure.estimates import Interval, Z
from compress.measure.paired import check_same_images


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The share of the gap that was recovered, with Fieller's 95 % interval, from n images."""

    value: float
    interval: Interval
    n: int


def estimate_gap(alone_correct: ArrayLike, distilled_correct: ArrayLike, teacher_correct: ArrayLike) -> Gap | None:
    """(distilled - alone) / (teacher - alone) of three accuracies on the same images (Bucila et al. 2006, table 2).

    0: the teacher was worth nothing; 1: the student is as good as its teacher; it can be more, or negative. The
    interval is Fieller's for a ratio of two correlated means (Fieller 1954, JRSS B 16:175). It is about the images
    alone: another seed of the training would move the value more.

    Args:
        alone_correct: (n,) booleans, one an image: the student trained on labels alone.
        distilled_correct: likewise, the same student taught by the teacher.
        teacher_correct: likewise, the teacher.

    Returns:
        None where the teacher is not clearly better than the student alone, so that there is no gap to speak of.

    Raises:
        ValueError: empty, of different lengths, or not one-dimensional.
    """
    alone, distilled, teacher = (np.asarray(each) for each in (alone_correct, distilled_correct, teacher_correct))
    check_same_images(alone, distilled)
    check_same_images(alone, teacher)
    n = alone.size
    learnt, gap = (each.astype(np.float64) - alone for each in (distilled, teacher))
    if n < 2:
        return None
    spread = np.cov(learnt, gap) * Z**2 / n
    a, b, c = (
        gap.mean() ** 2 - spread[1, 1],
        learnt.mean() * gap.mean() - spread[0, 1],
        learnt.mean() ** 2 - spread[0, 0],
    )
    if a <= 0 or gap.mean() <= 0:
        return None
    half = math.sqrt(max(b * b - a * c, 0.0))
    return Gap(value=float(learnt.mean() / gap.mean()), interval=(float((b - half) / a), float((b + half) / a)), n=n)
