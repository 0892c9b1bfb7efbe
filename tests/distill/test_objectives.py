"""The recipe's nouns: they compute what they name, say what they need, and refuse senseless fields."""

import math

import pytest
import torch
from torch import Tensor

from compress.distill.losses import (
    DIST,
    DKD,
    AttentionTransfer,
    FeatureObjective,
    Hint,
    LogitObjective,
    LogitRegression,
    RelationalAngle,
    RelationalDistance,
    SoftTargets,
    attention_transfer_loss,
    dist_loss,
    dkd_loss,
    hint_loss,
    kd_loss,
    logit_regression_loss,
    rkd_angle_loss,
    rkd_distance_loss,
    standardize_logits,
)
from compress.errors import RecipeError

GENERATOR = torch.Generator().manual_seed(0)
STUDENT, TEACHER = 3 * torch.randn(2, 7, 10, generator=GENERATOR)
LABELS = torch.arange(7)
MAPS = torch.randn(2, 5, 3, 4, 4, generator=GENERATOR)
Z_STUDENT, Z_TEACHER = standardize_logits(STUDENT), standardize_logits(TEACHER)


@pytest.mark.parametrize(
    ("objective", "expected", "needs_labels", "min_classes", "temperature"),
    [
        (SoftTargets(), kd_loss(STUDENT, TEACHER, 4.0), False, 2, 4.0),
        (SoftTargets(temperature=2.0, standardize=True), kd_loss(Z_STUDENT, Z_TEACHER, 2.0), False, 3, 2.0),
        (LogitRegression(), logit_regression_loss(STUDENT, TEACHER), False, 1, 1.0),
        (DKD(), dkd_loss(STUDENT, TEACHER, LABELS, 4.0, 1.0, 8.0), True, 3, 4.0),
        (DKD(alpha=0, beta=2), dkd_loss(STUDENT, TEACHER, LABELS, 4.0, 0.0, 2.0), True, 3, 4.0),
        (
            DKD(temperature=2, standardize=True),
            dkd_loss(Z_STUDENT, Z_TEACHER, LABELS, 2.0, 1.0, 8.0),
            True,
            3,
            2.0,
        ),
        (DIST(), dist_loss(STUDENT, TEACHER, 1.0, 1.0, 1.0), False, 3, 1.0),
        (DIST(temperature=4, inter=2, intra=3), dist_loss(STUDENT, TEACHER, 4.0, 2.0, 3.0), False, 3, 4.0),
    ],
)
def test_an_objective_on_logits(
    objective: LogitObjective, expected: Tensor, needs_labels: bool, min_classes: int, temperature: float
) -> None:
    assert objective(STUDENT, TEACHER, LABELS).item() == expected.item()
    assert (objective.needs_labels, objective.min_classes, objective.temperature) == (
        needs_labels,
        min_classes,
        temperature,
    )
    if needs_labels:
        with pytest.raises(ValueError, match="labels are None; expected one class index per sample"):
            objective(STUDENT, TEACHER, None)
    else:
        assert objective(STUDENT, TEACHER, None).item() == expected.item()


@pytest.mark.parametrize(
    ("objective", "expected", "needs_same_shape"),
    [
        (Hint(weight=100), 100 * hint_loss(*MAPS), True),
        (AttentionTransfer(weight=1000), 1000 * attention_transfer_loss(*MAPS), False),
        (AttentionTransfer(weight=2.0, p=4), 2 * attention_transfer_loss(*MAPS, p=4), False),
        (RelationalDistance(weight=25), 25 * rkd_distance_loss(*MAPS), False),
        (RelationalAngle(weight=50), 50 * rkd_angle_loss(*MAPS), False),
    ],
)
def test_an_objective_on_features_has_its_weight_in_it(
    objective: FeatureObjective, expected: Tensor, needs_same_shape: bool
) -> None:
    assert objective(*MAPS).item() == expected.item()
    assert objective.needs_same_shape is needs_same_shape


@pytest.mark.parametrize("objective", [SoftTargets(standardize=True), DKD(), DIST(intra=0)])
def test_below_its_fewest_classes_an_objective_learns_less_than_the_logits_say(objective: LogitObjective) -> None:
    """Two students that agree in which class is larger, one sure and one not: only DKD's binary half tells them."""
    labels = torch.zeros(2, dtype=torch.long)
    sure, unsure = torch.tensor([[9.0, 0.0], [0.0, 9.0]]), torch.tensor([[0.1, 0.0], [0.0, 0.1]])
    if isinstance(objective, DKD):
        torch.testing.assert_close(objective(unsure, sure, labels), SoftTargets()(unsure, sure, labels))
    else:
        assert objective(unsure, sure, labels).item() == pytest.approx(0, abs=1e-5)
    assert SoftTargets()(unsure, sure, labels).item() > 1
    assert objective.min_classes == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftTargets(temperature=0), "SoftTargets: temperature is 0; expected a finite number above 0"),
        (lambda: SoftTargets(temperature=math.nan), "SoftTargets: temperature is nan; expected"),
        (lambda: DKD(temperature=-1), "DKD: temperature is -1; expected"),
        (lambda: DKD(alpha=-0.5), "DKD: alpha is -0.5, beta is 8.0; expected finite numbers, at least 0"),
        (
            lambda: DKD(alpha=0, beta=0),
            "DKD: alpha is 0, beta is 0; expected finite numbers, at least 0 and not both 0",
        ),
        (lambda: DIST(temperature=math.inf), "DIST: temperature is inf; expected"),
        (lambda: DIST(inter=math.nan), "DIST: inter is nan, intra is 1.0; expected"),
        (lambda: Hint(weight=0), "Hint: weight is 0; expected a finite number above 0"),
        (lambda: AttentionTransfer(weight=-1), "AttentionTransfer: weight is -1; expected"),
        (
            lambda: AttentionTransfer(weight=1, p=0.5),
            "AttentionTransfer: p is 0.5; expected a finite number, at least 1",
        ),
        (lambda: RelationalDistance(weight=math.inf), "RelationalDistance: weight is inf; expected"),
        (lambda: RelationalAngle(weight=math.nan), "RelationalAngle: weight is nan; expected"),
    ],
)
def test_senseless_fields_are_refused_by_name(make, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make()
