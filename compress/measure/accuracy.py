"""Scores of artifacts on labelled images, as measurements."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.measure.comparison import Against, Reference
from compress.measure.gap import estimate_gap
from compress.measure.paired import compare_paired
from compress.measure.scores import estimate_accuracy, estimate_agreement, estimate_macro_f1
from compress.types import METRICS, How, Json, Measurement

BOOTSTRAP_SEED = 20060820


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What one artifact answered for the images of a split.

    artifact: its sha256.
    name: what reports call it.
    classes: (n,) the class with the highest logit; the lowest index among equals.
    """

    artifact: str
    name: str
    runtime: str
    target: str
    how: How
    split: str
    classes: NDArray[np.int64]


def score(predictions: Predictions, labels: NDArray[np.int64]) -> tuple[Measurement, Measurement]:
    """Accuracy (Wilson interval) and macro F1 (bootstrap interval) against labels (n,).

    The accuracy keeps which images were right, a bit each, so that two runs can be compared image by image; and what
    always naming the most frequent class would have scored, `most_frequent`, below which a model knows nothing.
    """
    accuracy = estimate_accuracy(labels, predictions.classes)
    f1 = estimate_macro_f1(labels, predictions.classes, BOOTSTRAP_SEED)
    correct = labels == predictions.classes
    return (
        _measurement(
            "accuracy",
            accuracy.value,
            accuracy.n,
            predictions,
            interval=accuracy.interval,
            details={
                "correct": int(correct.sum()),
                "correct_images": pack_bits(correct),
                "most_frequent": float(np.bincount(labels).max() / len(labels)),
            },
        ),
        _measurement("macro_f1", f1.value, f1.n, predictions, interval=f1.interval),
    )


def pack_bits(bits: NDArray[np.bool_]) -> str:
    """(n,) booleans as base64, the first one the highest bit of the first byte, zeros at the end."""
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def score_drop(predictions: Predictions, teacher: Predictions, labels: NDArray[np.int64]) -> Measurement:
    """Accuracy lost against the teacher on the same images, as a paired difference."""
    drop = compare_paired(teacher.classes == labels, predictions.classes == labels)
    return _measurement(
        "accuracy_drop",
        drop.value,
        drop.n,
        predictions,
        interval=drop.interval,
        reference=Reference(against="teacher", sha256=teacher.artifact, name=teacher.name),
        details={
            "lost": drop.lost,
            "gained": drop.gained,
            "mcnemar_p_value": drop.p_value,
        },
    )


def score_gap(
    student: Predictions, alone: Predictions, teacher: Predictions, labels: NDArray[np.int64]
) -> tuple[Measurement, ...]:
    """Share of the gap between student alone and teacher that learning from it closed; nothing if there is no gap."""
    gap = estimate_gap(*(each.classes == labels for each in (alone, student, teacher)))
    if gap is None:
        return ()
    reference = Reference(against="teacher", sha256=teacher.artifact, name=teacher.name)
    details: dict[str, Json] = {"alone": alone.artifact}
    found = _measurement(
        "gap_recovered", gap.value, gap.n, student, interval=gap.interval, reference=reference, details=details
    )
    return (found,)


def score_agreement(predictions: Predictions, reference: Predictions, against: Against) -> Measurement:
    """Share of the images on which both choose the same class."""
    agreement = estimate_agreement(reference.classes, predictions.classes)
    return _measurement(
        "agreement",
        agreement.value,
        agreement.n,
        predictions,
        interval=agreement.interval,
        reference=Reference(against=against, sha256=reference.artifact, name=reference.name),
    )


def _measurement(
    metric: str,
    value: float,
    n: int,
    predictions: Predictions,
    *,
    interval: tuple[float, float],
    reference: Reference | None = None,
    details: dict[str, Json] | None = None,
) -> Measurement:
    return Measurement(
        metric=metric,
        unit=METRICS[metric],
        value=value,
        n=n,
        artifact=predictions.artifact,
        runtime=predictions.runtime,
        target=predictions.target,
        how=predictions.how,
        interval=interval,
        reference=reference.sha256 if reference else None,
        split=predictions.split,
        details=(reference.details() if reference else {}) | (details or {}),
    )
