"""Losses against SciPy and against identities from Hinton et al. 2015."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from compress.distill import distillation_loss, kd_loss

RANDOM = np.random.default_rng(0)
STUDENT = torch.from_numpy(RANDOM.normal(0, 3, (7, 10)).astype(np.float32))
TEACHER = torch.from_numpy(RANDOM.normal(0, 3, (7, 10)).astype(np.float32))
LABELS = torch.from_numpy(RANDOM.integers(0, 10, 7))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_kd_loss_equals_scipys_divergence_times_temperature_squared(temperature: float) -> None:
    p = softmax(TEACHER.double().numpy() / temperature, axis=1)
    divergence = p * (np.log(p) - log_softmax(STUDENT.double().numpy() / temperature, axis=1))
    expected = divergence.sum(axis=1).mean() * temperature**2
    assert kd_loss(STUDENT, TEACHER, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_gradient_tends_to_logit_regression_at_high_temperature() -> None:
    """Section 2.1 of the paper: for zero-mean logits the gradient tends to (z - v) / N, after the factor T squared."""
    z = ((STUDENT - STUDENT.mean(1, keepdim=True)) / 10).requires_grad_()
    v = (TEACHER - TEACHER.mean(1, keepdim=True)) / 10
    kd_loss(z, v, 100.0).backward()
    batch, classes = z.shape
    np.testing.assert_allclose(z.grad.numpy(), (z - v).detach().numpy() / classes / batch, atol=2e-4)


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, "hard"), (1.0, "soft"), (0.3, "mixed")])
def test_distillation_loss_mixes_by_alpha(alpha: float, expected: str) -> None:
    log_p = log_softmax(STUDENT.double().numpy(), axis=1)
    hard = -log_p[np.arange(7), LABELS.numpy()].mean()
    soft = kd_loss(STUDENT, TEACHER, 4.0).item()
    values = {"hard": hard, "soft": soft, "mixed": 0.7 * hard + 0.3 * soft}
    found = distillation_loss(STUDENT, TEACHER, LABELS, 4.0, alpha).item()
    assert found == pytest.approx(values[expected], rel=1e-5)


def test_half_precision_logits_are_computed_in_float32() -> None:
    exact = kd_loss(STUDENT.half().float(), TEACHER.half().float(), 4.0)
    assert kd_loss(STUDENT.half(), TEACHER.half(), 4.0).item() == exact.item()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kd_loss(STUDENT, TEACHER[:, :9], 4.0), "expected equal shapes"),
        (lambda: kd_loss(STUDENT, TEACHER, 0.0), "temperature must be positive"),
        (lambda: distillation_loss(STUDENT, TEACHER, LABELS, 4.0, 1.5), "alpha must lie in"),
    ],
)
def test_senseless_arguments_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
