"""Plain scalars are read as they are written. Oracles: YAML 1.2's table (section 10.3.2), JSON, Python."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.strict_yaml.scalars import read_plain_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("5e-4", 0.0005),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5e+1", -5.0),
        ("010", 10),
        ("-010", -10),
        ("+7", 7),
        ("0o14", 12),
        ("0x3A", 58),
        ("9223372036854775807", 2**63 - 1),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_numbers_booleans_and_null(text: str, value: object) -> None:
    read = read_plain_scalar(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "No", "True", "FALSE", "Null", "y", "12:30", "1_000", "2024-01-01", "1e", "e3", ".", "-",
     "0b1", "0o8", "1.2.3", "١٢", "inf", "nan", "=", "1e-3x"],
)  # fmt: skip
def test_what_yaml_1_1_would_convert_is_text(text: str) -> None:
    assert read_plain_scalar(text) == text


@pytest.mark.parametrize(
    "text",
    [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e999", "-1e999", "9223372036854775808", "9" * 65, "0." + "1" * 70],
)
def test_numbers_that_no_number_holds(text: str) -> None:
    with pytest.raises(ValueError, match="quote it if text is meant"):
        read_plain_scalar(text)


@given(st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_json_numbers(number: float) -> None:
    text = json.dumps(number)
    assert read_plain_scalar(text) == json.loads(text)


@given(st.integers(0, 10**12), st.integers(0, 5), st.sampled_from(["", "+", "-"]))
def test_leading_zeros_stay_decimal(number: int, zeros: int, sign: str) -> None:
    assert read_plain_scalar(f"{sign}{'0' * zeros}{number}") == int(f"{sign}{number}")


@given(st.text(max_size=80))
def test_text_is_never_changed(text: str) -> None:
    try:
        read = read_plain_scalar(text)
    except ValueError:
        return
    if isinstance(read, str):
        assert read == text
    elif not isinstance(read, bool | None):
        assert not any(letter in text for letter in "gklmqyz_ ")
