"""Scales and zero points: exact cases by hand, and the properties that the runtimes rely on."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.quantize.parameters import (
    QParams,
    activation_qparams,
    bias_scales,
    quantize_bias,
    quantize_weight,
    sums_tie,
    weight_scales,
)

REALS = st.floats(-1e6, 1e6, width=32)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0.0, 255.0, 1.0, -128),
        (-128.0, 127.0, 1.0, 0),
        (-255.0, 0.0, 1.0, 127),
        (3.0, 255.0, 1.0, -128),  # 0 is always inside
        (-255.0, -3.0, 1.0, 127),
        (0.0, 0.0, 1 / 255, -128),  # a dead activation
        (0.0, 6.0, 6 / 255, -128),
    ],
)
def test_activation_by_hand(low: float, high: float, scale: float, zero_point: int) -> None:
    q = activation_qparams(low, high)
    assert q.scale == pytest.approx(scale, rel=1e-6)
    assert q.zero_point == zero_point


@given(REALS, REALS)
def test_activation_covers_its_range_and_zero(first: float, second: float) -> None:
    low, high = sorted((first, second))
    q = activation_qparams(low, high)
    assert math.isfinite(q.scale)
    assert q.scale > 0
    assert -128 <= q.zero_point <= 127
    assert q.scale * (-128 - q.zero_point) <= min(low, 0.0) + 0.51 * q.scale
    assert q.scale * (127 - q.zero_point) >= max(high, 0.0) - 0.51 * q.scale
    assert float(torch.tensor(q.scale, dtype=torch.float32)) == q.scale


def test_weights_by_hand() -> None:
    weight = torch.tensor([[1.27, -0.5], [-2.54, 0.01]])
    unit = QParams(scale=1.0, zero_point=0)
    scales = weight_scales(weight, None, unit, unit)
    torch.testing.assert_close(scales, torch.tensor([0.01, 0.02]))
    assert quantize_weight(weight, scales).tolist() == [[127, -50], [-127, 0]]  # 0.01 / 0.02 rounds half to even


@given(
    st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4),
    st.floats(-1e3, 1e3, width=32),
    st.floats(2.0**-20, 10, width=32),
    st.floats(2.0**-20, 10, width=32),
)
def test_any_channel_fits_int8_int32_and_the_requantisation(
    weights: list[float], bias: float, source_scale: float, output_scale: float
) -> None:
    weight, offset = torch.tensor([weights, [0.0] * 4]), torch.tensor([bias, bias])
    source, output = QParams(scale=source_scale, zero_point=0), QParams(scale=output_scale, zero_point=0)
    scales = weight_scales(weight, offset, source, output)
    assert bool((scales > 0).all())
    assert bool(torch.isfinite(scales).all())
    assert int(quantize_weight(weight, scales).abs().max()) <= 127
    exact = offset.double() / bias_scales(source, scales).double()
    assert float(exact.abs().max()) < 2**30 * 1.001
    assert torch.equal(quantize_bias(offset, bias_scales(source, scales)), exact.round().to(torch.int32))
    ratio = bias_scales(source, scales).double() / output.scale
    assert float(ratio.min()) > 2.0**-32  # XNNPACK's limit


@pytest.mark.parametrize(
    ("left", "right", "output", "ties"),
    [
        (0.5, 0.5, 1.0, True),
        (0.5, 1.0, 1.0, True),
        (1.0, 1.0, 1.0, False),
        (0.4, 0.5, 1.0, False),
        (0.5, 0.5, 1.02, False),
    ],
)
def test_sums_that_tie(left: float, right: float, output: float, ties: bool) -> None:
    assert sums_tie(left, right, output) is ties
