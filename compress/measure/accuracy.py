"""Scores of artifacts on labelled images, as measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.measure.statistics import compare_paired, estimate_accuracy, estimate_agreement, estimate_macro_f1
from compress.types import How, Measurement

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
    """Accuracy (Wilson interval) and macro F1 (bootstrap interval) against labels (n,)."""
    accuracy = estimate_accuracy(labels, predictions.classes)
    f1 = estimate_macro_f1(labels, predictions.classes, BOOTSTRAP_SEED)
    correct = int((labels == predictions.classes).sum())
    return (
        _measurement(
            "accuracy",
            accuracy.value,
            accuracy.n,
            predictions,
            interval=accuracy.interval,
            details={"correct": correct},
        ),
        _measurement("macro_f1", f1.value, f1.n, predictions, interval=f1.interval),
    )


def score_drop(predictions: Predictions, reference: Predictions, labels: NDArray[np.int64]) -> Measurement:
    """Accuracy lost against a reference on the same images, as a paired difference."""
    drop = compare_paired(reference.classes == labels, predictions.classes == labels)
    return _measurement(
        "accuracy_drop",
        drop.value,
        drop.n,
        predictions,
        interval=drop.interval,
        reference=reference.artifact,
        details={
            "compared_with": reference.name,
            "lost": drop.lost,
            "gained": drop.gained,
            "mcnemar_p_value": drop.p_value,
        },
    )


def score_agreement(predictions: Predictions, reference: Predictions, what: str) -> Measurement:
    """Share of the images on which both choose the same class."""
    agreement = estimate_agreement(reference.classes, predictions.classes)
    return _measurement(
        "agreement",
        agreement.value,
        agreement.n,
        predictions,
        interval=agreement.interval,
        reference=reference.artifact,
        details={"compared_with": reference.name, "what": what},
    )


def _measurement(
    metric: str,
    value: float,
    n: int,
    predictions: Predictions,
    *,
    interval: tuple[float, float],
    reference: str | None = None,
    details: dict[str, object] | None = None,
) -> Measurement:
    return Measurement(
        metric=metric,
        unit="fraction",
        value=value,
        n=n,
        artifact=predictions.artifact,
        runtime=predictions.runtime,
        target=predictions.target,
        how=predictions.how,
        interval=interval,
        reference=reference,
        split=predictions.split,
        details=details or {},
    )
