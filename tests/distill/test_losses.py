"""Losses on logits against SciPy and against the identities of their papers."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from scipy.stats import entropy, pearsonr, zscore
from torch import Tensor, nn

from compress.distill import Distillation, ModuleTeacher, SoftTargets
from compress.distill.distillation import training_loss
from compress.distill.losses import (
    dist_loss,
    dkd_loss,
    kd_loss,
    logit_regression_loss,
    standardize_logits,
)

RANDOM = np.random.default_rng(0)
BATCH, CLASSES = 7, 10
STUDENT = torch.from_numpy(RANDOM.normal(0, 3, (BATCH, CLASSES)).astype(np.float32))
TEACHER = torch.from_numpy(RANDOM.normal(0, 3, (BATCH, CLASSES)).astype(np.float32))
LABELS = torch.from_numpy(RANDOM.integers(0, CLASSES, BATCH))
TEMPERATURES = [0.5, 1.0, 4.0, 20.0]

LOSSES = {
    "kd": lambda s, t: kd_loss(s, t, 4.0),
    "kd, T = 1": lambda s, t: kd_loss(s, t, 1.0),
    "standardised kd": lambda s, t: kd_loss(standardize_logits(s), standardize_logits(t), 2.0),
    "logit regression": logit_regression_loss,
    "dkd": lambda s, t: dkd_loss(s, t, LABELS[: len(s)], 4.0, 1.0, 8.0),
    "dkd, T = 1": lambda s, t: dkd_loss(s, t, LABELS[: len(s)], 1.0, 1.0, 8.0),
    "dist": lambda s, t: dist_loss(s, t, 1.0, 1.0, 1.0),
    "dist, T = 4": lambda s, t: dist_loss(s, t, 4.0, 2.0, 3.0),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def probabilities(logits: Tensor, temperature: float) -> NDArray[np.float64]:
    return softmax(logits.double().numpy() / temperature, axis=1)


def gradient(loss, student: Tensor) -> Tensor:
    student = student.clone().requires_grad_()
    loss(student).backward()
    return student.grad


# KD: Hinton et al. 2015


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_kd_is_scipys_relative_entropy_times_temperature_squared(temperature: float) -> None:
    divergence = entropy(probabilities(TEACHER, temperature), probabilities(STUDENT, temperature), axis=1)
    assert kd_loss(STUDENT, TEACHER, temperature).item() == pytest.approx(divergence.mean() * temperature**2, rel=1e-5)


def test_kd_sums_over_the_classes() -> None:
    """Averaging over them, as a reduction called "mean" does, weakens the loss by their number."""
    p, q = probabilities(TEACHER, 1.0), probabilities(STUDENT, 1.0)
    assert kd_loss(STUDENT, TEACHER, 1.0).item() == pytest.approx(CLASSES * (p * np.log(p / q)).mean(), rel=1e-5)


def test_kds_gradient_tends_to_logit_regression_at_high_temperature() -> None:
    """Section 2.1: for zero-mean logits it tends to (z - v) / (N T²), here times T²."""
    z, v = (logits - logits.mean(1, keepdim=True) for logits in (STUDENT.double(), TEACHER.double()))
    expected = (z - v) / CLASSES / BATCH
    torch.testing.assert_close(gradient(lambda s: kd_loss(s, v, 1e4), z), expected, rtol=0, atol=1e-4)
    limit = gradient(lambda s: logit_regression_loss(s, v), z) / CLASSES
    torch.testing.assert_close(limit, expected)
    assert kd_loss(z, v, 1e4).item() == pytest.approx(logit_regression_loss(z, v).item() / CLASSES, rel=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_several_teachers_are_their_mean_probability(temperature: float) -> None:
    """The mean of the divergences and the divergence from the mean differ by a constant: one target serves for all."""
    student = STUDENT.double()
    teachers = torch.from_numpy(RANDOM.normal(0, 3, (3, BATCH, CLASSES)))
    combined = temperature * F.softmax(teachers / temperature, 2).mean(0).log()
    each = gradient(lambda s: torch.stack([kd_loss(s, t, temperature) for t in teachers]).mean(), student)
    torch.testing.assert_close(gradient(lambda s: kd_loss(s, combined, temperature), student), each)


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, "hard"), (1.0, "soft"), (0.3, "mixed")])
def test_the_training_loss_mixes_by_alpha(alpha: float, expected: str) -> None:
    log_p = log_softmax(STUDENT.double().numpy(), axis=1)
    hard = -log_p[np.arange(BATCH), LABELS.numpy()].mean()
    soft = kd_loss(STUDENT, TEACHER, 4.0).item()
    values = {"hard": hard, "soft": soft, "mixed": 0.7 * hard + 0.3 * soft}
    lesson = Distillation(teachers=(ModuleTeacher(model=nn.Identity()),), loss=SoftTargets(temperature=4), alpha=alpha)
    found = training_loss(lesson, (STUDENT, ()), (TEACHER, ()), LABELS, label_smoothing=0.0).item()
    assert found == pytest.approx(values[expected], rel=1e-5)


# Logit regression: Ba & Caruana 2014


def test_logit_regression_is_half_the_squared_distance() -> None:
    distance = np.linalg.norm((STUDENT - TEACHER).double().numpy(), axis=1)
    assert logit_regression_loss(STUDENT, TEACHER).item() == pytest.approx((distance**2).mean() / 2, rel=1e-5)
    assert logit_regression_loss(TEACHER + 1, TEACHER).item() == pytest.approx(CLASSES / 2, rel=1e-5)  # not centred


# DKD: Zhao et al. 2022


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_kd_is_the_coupled_sum_of_dkds_parts(temperature: float) -> None:
    """Equation 7: KD = TCKD + (1 - p of the target) NCKD, sample by sample."""
    p = probabilities(TEACHER, temperature)
    for i in range(BATCH):
        student, teacher, label = STUDENT[i : i + 1].double(), TEACHER[i : i + 1].double(), LABELS[i : i + 1]
        coupled = dkd_loss(student, teacher, label, temperature, alpha=1.0, beta=1 - p[i, label.item()])
        torch.testing.assert_close(coupled, kd_loss(student, teacher, temperature))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_dkds_parts_are_scipys_relative_entropies(temperature: float) -> None:
    rows = np.arange(BATCH)
    p, q = probabilities(TEACHER, temperature), probabilities(STUDENT, temperature)
    binary = [np.stack([r[rows, LABELS], 1 - r[rows, LABELS]], 1) for r in (p, q)]
    others = [np.array([np.delete(row, label) for row, label in zip(r, LABELS, strict=True)]) for r in (p, q)]
    expected = 1.5 * entropy(*binary, axis=1).mean() + 6 * entropy(*others, axis=1).mean()  # entropy() normalises
    found = dkd_loss(STUDENT, TEACHER, LABELS, temperature, alpha=1.5, beta=6.0).item()
    assert found == pytest.approx(expected * temperature**2, rel=1e-5)


def test_dkd_of_two_classes_knows_no_others() -> None:
    student, teacher, labels = STUDENT[:, :2], TEACHER[:, :2], LABELS % 2
    assert dkd_loss(student, teacher, labels, 4.0, alpha=0.0, beta=8.0).item() == 0
    without = dkd_loss(student, teacher, labels, 4.0, alpha=1.0, beta=0.0)
    torch.testing.assert_close(without, kd_loss(student, teacher, 4.0))


# DIST: Huang et al. 2022


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("inter", "intra"), [(1.0, 0.0), (0.0, 1.0), (2.0, 3.0)])
def test_dist_is_scipys_correlation(temperature: float, inter: float, intra: float) -> None:
    p, q = probabilities(TEACHER, temperature), probabilities(STUDENT, temperature)
    rows = np.mean([1 - pearsonr(p[i], q[i]).statistic for i in range(BATCH)])
    columns = np.mean([1 - pearsonr(p[:, k], q[:, k]).statistic for k in range(CLASSES)])
    expected = (inter * rows + intra * columns) * temperature**2
    assert dist_loss(STUDENT, TEACHER, temperature, inter, intra).item() == pytest.approx(expected, rel=1e-4)


def test_dist_correlates_a_class_of_vanishing_probability() -> None:
    """Its probabilities are 0 in float32, and about 1e-87 in SciPy's float64."""
    student, teacher = STUDENT.clone(), TEACHER.clone()
    student[:, 3] -= 200
    teacher[:, 3] -= 200
    assert not F.softmax(student, 1)[:, 3].any()
    p, q = probabilities(teacher, 1.0), probabilities(student, 1.0)
    columns = [1 - pearsonr(p[:, k] / p[:, k].sum(), q[:, k] / q[:, k].sum()).statistic for k in range(CLASSES)]
    assert dist_loss(student, teacher, 1.0, 0.0, 1.0).item() == pytest.approx(np.mean(columns), rel=1e-4)


def test_dist_of_two_classes_sees_only_which_is_larger() -> None:
    student, teacher = STUDENT[:, :2].double(), TEACHER[:, :2].double()
    differ = (student.argmax(1) != teacher.argmax(1)).double().mean().item()
    assert 0 < differ < 1
    assert dist_loss(student, teacher, 1.0, 1.0, 0.0).item() == pytest.approx(2 * differ)
    assert gradient(lambda s: dist_loss(s, teacher, 1.0, 1.0, 0.0), student).abs().max() < 1e-12


def test_dist_counts_constant_vectors_as_uncorrelated() -> None:
    flat = torch.zeros(BATCH, CLASSES)
    assert dist_loss(flat, TEACHER, 1.0, 1.0, 0.0).item() == pytest.approx(1, abs=1e-3)
    assert dist_loss(STUDENT[:1], TEACHER[:1], 1.0, 0.0, 1.0).item() == pytest.approx(1)


# Standardised logits: Sun et al. 2024


def test_standardised_logits_are_scipys_z_scores() -> None:
    expected = zscore(STUDENT.double().numpy(), axis=1, ddof=1)
    np.testing.assert_allclose(standardize_logits(STUDENT).numpy(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(standardize_logits(5 * STUDENT + 3), standardize_logits(STUDENT))


def test_standardised_logits_of_two_classes_are_always_the_same() -> None:
    z = standardize_logits(STUDENT[:, :2])
    torch.testing.assert_close(z.abs(), torch.full_like(z, math.sqrt(0.5)))
    assert gradient(lambda s: standardize_logits(s).square().sum(), STUDENT[:, :2]).abs().max() < 1e-5


# All of them


@every_loss
def test_gradients_are_those_of_finite_differences(loss) -> None:
    student, teacher = STUDENT[:4].double().requires_grad_(), TEACHER[:4].double()
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), student)


@every_loss
def test_a_loss_is_computed_in_float32(loss) -> None:
    """Whatever the type of the logits, and under autocast too."""
    for dtype in (torch.float16, torch.bfloat16):
        student, teacher = STUDENT.to(dtype), TEACHER.to(dtype)
        exact = loss(student.float(), teacher.float())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = loss(student, teacher)
        assert found.dtype == torch.float32
        assert found.item() == exact.item()
    assert loss(STUDENT, TEACHER).item() == pytest.approx(loss(STUDENT.double(), TEACHER.double()).item(), rel=1e-4)


HARD_CASES = {
    "huge": (1e4 * STUDENT, 1e4 * TEACHER),
    "huge, alike": (1e4 * TEACHER, 1e4 * TEACHER),
    "equal student rows": (torch.zeros(BATCH, CLASSES), TEACHER),
    "equal teacher rows": (STUDENT, torch.full((BATCH, CLASSES), 0.1)),
    "nearly equal student rows": (1e-6 * STUDENT, TEACHER),
    "all equal": (torch.full((BATCH, CLASSES), 0.1), torch.zeros(BATCH, CLASSES)),
    "half precision": (STUDENT.half() * 1000, TEACHER.bfloat16()),
    "batch of one": (STUDENT[:1], TEACHER[:1]),
}


@every_loss
@pytest.mark.parametrize("case", HARD_CASES.values(), ids=HARD_CASES.keys())
def test_values_and_gradients_stay_finite(loss, case: tuple[Tensor, Tensor]) -> None:
    student, teacher = case
    assert loss(student, teacher).isfinite()
    found = gradient(lambda s: loss(s, teacher), student)
    assert found.isfinite().all()


@pytest.mark.parametrize("name", ["standardised kd", "dist", "dist, T = 4"])
def test_an_undecided_student_gets_a_bounded_gradient(name: str) -> None:
    """A new head's logits are all equal; dividing by their deviation plus 1e-8 would throw the weights away."""
    for student in (torch.zeros(BATCH, CLASSES), torch.full((BATCH, CLASSES), 0.1), 1e-6 * STUDENT):
        assert gradient(lambda s: LOSSES[name](s, TEACHER), student).norm(dim=1).max() < 5000


@every_loss
def test_a_perfect_student_pays_nothing(loss) -> None:
    assert loss(TEACHER, TEACHER).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kd_loss(STUDENT, TEACHER[:, :9], 4.0), "expected equal shapes"),
        (lambda: logit_regression_loss(STUDENT[:1], TEACHER), "expected equal shapes"),
        (lambda: kd_loss(STUDENT[0], TEACHER[0], 4.0), r"logits are \(10,\); expected \(batch, classes\)"),
        (lambda: kd_loss(STUDENT[:0], TEACHER[:0], 4.0), "at least one sample"),
        (lambda: kd_loss(STUDENT, TEACHER, 0.0), "temperature must be positive and finite, got 0"),
        (lambda: dist_loss(STUDENT, TEACHER, -1.0, 1, 1), "temperature must be positive and finite, got -1"),
        (lambda: kd_loss(STUDENT, TEACHER, math.nan), "temperature must be positive and finite, got nan"),
        (lambda: dkd_loss(STUDENT, TEACHER, LABELS, math.inf, 1, 8), "temperature must be positive and finite"),
        (lambda: dkd_loss(STUDENT[:, :1], TEACHER[:, :1], LABELS * 0, 4.0, 1, 8), "2 classes"),
        (lambda: dkd_loss(STUDENT, TEACHER, LABELS[:3], 4.0, 1, 8), r"labels are \(3,\); expected one for each of 7"),
        (lambda: standardize_logits(STUDENT[:, :1]), "2 classes"),
    ],
)
def test_senseless_arguments_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
