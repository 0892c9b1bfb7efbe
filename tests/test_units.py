"""Numbers as people read them."""

from __future__ import annotations

import pytest

from compress.units import brief, decimals, exact, times


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.91354, "fraction", "0.9135"),
        (-0.0012, "fraction", "−0.0012"),
        (0, "bytes", "0 bytes"),
        (512, "bytes", "512 bytes"),
        (49_824, "bytes", "49.8 kB"),
        (2_713_000, "bytes", "2.71 MB"),
        (12_345, "count", "12,345"),
        (512_345, "count", "0.512 M"),
        (9_123_456, "count", "9.12 M"),
        (1_234_567_890, "count", "1.23 G"),
        (0.11234, "ms", "0.112 ms"),
        (1234.5, "ms", "1,230 ms"),
        (38.24, "dB", "38.2 dB"),
        (1.23e-6, "logits", "1.2e-06"),
        (3e-6, "logits", "3.0e-06"),
        (0.0874, "logits", "0.087"),
        (0.0, "logits", "0"),
    ],
)
def test_brief(value: float, unit: str, text: str) -> None:
    assert brief(value, unit) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(54.23, "54.2×"), (1.084, "1.08×"), (0.8714, "0.871×"), (1234.0, "1,230×")]
)
def test_times(ratio: float, text: str) -> None:
    assert times(ratio) == text


def test_exact_keeps_a_small_number_visible() -> None:
    assert exact(0.0231, "fraction") == "0.0231"
    assert exact(51_234, "bytes") == "51,234 bytes"
    assert exact(3e-7, "fraction") == "0.0000003"
    assert decimals("count", 0.5) == 1
    assert decimals("fraction", 0.0, 1.0) == 4
