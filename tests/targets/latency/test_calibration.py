"""A device's factor and interval, against sums by hand and against networks drawn at random."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from test_model import A75, FITTED, RATES, WORK

from compress.targets.latency.calibration import Calibration, fit_factor
from compress.targets.latency.model import identify, predict

CALIBRATION = Calibration(
    device="Pixel 3",
    threads=1,
    factor=1.5,
    spread=1.1,
    networks=5,
    classes=("fmla", "mlal"),
    cycles=(5e5, 5e7),
    runtime="litert 2.3.0",
    there="adb:9A1X, cortex-a75 × 4, Android 13",
    date="2026-11-25",
    model=identify(A75, RATES),
)


def test_a_factor_by_hand() -> None:
    """Logarithms 0, 0.0953, 0.1906; t of two degrees of freedom is 2.920 (Student's table); √(1 + 1/3) = 1.1547."""
    assert fit_factor([[1.0], [1.1], [1.21]], 0.9) == pytest.approx((1.1, math.exp(2.920 * 0.09531 * 1.1547)), rel=1e-4)


def test_two_files_of_a_network_are_no_two_networks() -> None:
    """Alike, they say no more than one; apart, they say that schemes differ: 0.0953² thrice, over two."""
    one, two = fit_factor([[1.0], [1.1], [1.21]], 0.9), fit_factor([[1.0] * 2, [1.1] * 2, [1.21] * 2], 0.9)
    assert two == pytest.approx(one)
    apart = fit_factor([[1.0, 1.21]] * 3, 0.9)
    assert apart == pytest.approx((1.1, math.exp(2.920 * 0.09531 * math.sqrt(1.5) * 1.1547)), rel=1e-4)


@pytest.mark.parametrize(("files", "scatter"), [(1, 0.0), (2, 0.05)])
def test_nine_of_ten_further_networks_lie_within_the_spread(files: int, scatter: float) -> None:
    """Networks off by 10 %, their files by `scatter` more, on a device that is off by 30 %."""
    rng = np.random.default_rng(0)
    logs = 0.3 + rng.normal(0, 0.1, (3000, 6, 1)) + rng.normal(0, scatter, (3000, 6, files))
    held = 0
    for *timed, further in np.exp(logs):
        factor, spread = fit_factor(timed, 0.9)
        held += abs(math.log(further[0] / factor)) <= math.log(spread)
    assert 0.88 <= held / 3000 <= 0.95


def test_two_networks_are_too_few() -> None:
    with pytest.raises(ValueError, match="at least 3 networks, got 2"):
        fit_factor([[1.0], [1.1]], 0.9)


def test_a_calibrated_prediction_by_hand() -> None:
    """5.02 ms without, times 1.5; its own factor of 1.1 to either side and not the 1.25 of all devices."""
    found = predict(WORK, A75, "litert 2.3.0", FITTED, CALIBRATION)
    assert found.ms == pytest.approx(7.53)
    assert sum(found.parts.values()) == pytest.approx(7.53)
    assert (found.low, found.high) == pytest.approx((7.53 / 1.1, 7.53 * 1.1))
    assert (found.warnings, found.calibration) == ((), CALIBRATION)


def test_what_was_timed_there_is_no_extrapolation() -> None:
    """A core, as few cycles and as unknown a memory as no published row has."""
    place = dataclasses.replace(A75, core="cortex-a76", gb_per_s_range=(4.0, 64.0))
    work = dataclasses.replace(WORK, by_class={"fmla": 4e5})
    assert len(predict(work, place, "litert 2.3.0", FITTED).warnings) == 3
    known = CALIBRATION.model_copy(update={"model": identify(place, RATES)})
    found = predict(work, place, "litert 2.3.0", FITTED, known)
    assert (found.warnings, found.high / found.ms) == ((), pytest.approx(1.1))


@pytest.mark.parametrize(("spread", "expected"), [(1.1, 2.0), (3.0, 3.0)])
def test_beyond_both_the_wider_interval_counts(spread: float, expected: float) -> None:
    work = dataclasses.replace(WORK, by_class={"dot": 8e6})
    found = predict(work, A75, "litert 2.3.0", FITTED, CALIBRATION.model_copy(update={"spread": spread}))
    assert found.warnings == ("no published figure with dot on cortex-a75 was fitted",)
    assert found.high / found.ms == pytest.approx(expected)


def test_another_runtime_is_not_calibrated() -> None:
    assert predict(WORK, A75, "onnxruntime 1.32.0", FITTED, CALIBRATION) == predict(
        WORK, A75, "onnxruntime 1.32.0", FITTED
    )


@pytest.mark.parametrize(
    ("place", "rates"), [({"ghz": (2.2,)}, {}), ({"gb_per_s": 15.0}, {}), ({}, {"operator_cycles": 900})]
)
def test_a_calibration_of_another_model_is_not_used(place: dict[str, object], rates: dict[str, float]) -> None:
    """The device was described anew since, or the rates were fitted anew."""
    fitted = dataclasses.replace(FITTED, rates=dataclasses.replace(RATES, **rates))
    there = dataclasses.replace(A75, **place)  # type: ignore[arg-type]
    found = predict(WORK, there, "litert 2.3.0", fitted, CALIBRATION)
    assert found.calibration is None
    assert found.ms == predict(WORK, there, "litert 2.3.0", fitted).ms
    assert "calibrate again" in found.warnings[-1]
