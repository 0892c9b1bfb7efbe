"""Milliseconds from work, against sums by hand; what is not known is refused, and what is far off said."""

from __future__ import annotations

import dataclasses

import pytest

from compress.errors import RecipeError
from compress.targets.devices import find_device, load_devices
from compress.targets.latency.model import Fitted, Rates, load_rates, predict
from compress.targets.latency.placement import Placement, place_threads
from compress.targets.latency.work import Work

RATES = Rates(line_cycles=10, memory_slowdown=2, operator_cycles=1000, widening_slowdown=1.5)
FITTED = Fitted(
    rates=RATES,
    cores=("cortex-a73", "cortex-a75"),
    classes=("fmla", "mlal", "other"),
    runtimes=("litert",),
    threads=(1, 2),
    cycles=(1e6, 1e8),
    spread=1.25,
    far_spread=2.0,
    ratio_spread=1.1,
)
WORK = Work(by_class={"fmla": 6e6, "other": 2e6}, lines=(200_000, 125_000), operators=40)
A75 = Placement(core="cortex-a75", ghz=(2.0,), gb_per_s=16.0)


def test_one_thread_by_hand() -> None:
    """8 M cycles at 2 GHz: 4 ms; 8 MB at half of 16 GB/s: 1; 40 operators: 0.02."""
    found = predict(WORK, A75, "litert 2.3.0", FITTED)
    assert found.parts == pytest.approx({"fmla": 3.0, "other": 1.0, "caches": 0, "memory": 1.0, "operators": 0.02})
    assert found.ms == pytest.approx(5.02)
    assert (found.low, found.high) == pytest.approx((5.02 / 1.25, 5.02 * 1.25))
    assert found.warnings == ()


def test_threads_share_all_but_the_start_of_operators() -> None:
    """3 GHz of two cores together, and the memory at its peak of 16 GB/s, which no third thread could raise."""
    found = predict(WORK, dataclasses.replace(A75, ghz=(2.0, 1.0)), "litert 2.3.0", FITTED)
    assert found.parts == pytest.approx({"fmla": 2.0, "other": 2 / 3, "caches": 0, "memory": 0.5, "operators": 0.02})
    assert predict(WORK, dataclasses.replace(A75, ghz=(2.0,) * 3), "litert 2.3.0", FITTED).parts["memory"] == 0.5


def test_behind_a_shared_second_cache_threads_wait_in_turn() -> None:
    """200,000 lines of 10 cycles: 1 ms of one thread at 2 GHz, half of it for two; the memory takes as long."""
    for threads in (1, 2):
        place = dataclasses.replace(A75, core="cortex-a73", ghz=(2.0,) * threads)
        parts = predict(WORK, place, "litert 2.3.0", FITTED).parts
        assert (parts["caches"], parts["memory"]) == pytest.approx((1.0 / threads, 1.0))


def test_widening_multiplies_are_slow_where_instructions_start_out_of_order() -> None:
    work = dataclasses.replace(WORK, by_class={"mlal": 2e6})
    for core, ms in (("cortex-a75", 1.5), ("cortex-a53", 1.0)):
        parts = predict(work, dataclasses.replace(A75, core=core), "litert 2.3.0", FITTED).parts
        assert parts["mlal"] == pytest.approx(ms)


EXTRAPOLATIONS = [
    ({"core": "cortex-a76"}, {}, "litert 2.3.0", "no published figure of cortex-a76 was fitted"),
    ({}, {}, "onnxruntime 1.32.0", "no published figure of onnxruntime was fitted"),
    ({}, {"by_class": {"dot": 8e6}}, "litert 2.3.0", "no published figure with dot was fitted"),
    ({"ghz": (2.0,) * 4}, {}, "litert 2.3.0", "at most 2 threads were fitted"),
    ({}, {"by_class": {"fmla": 4e5}}, "litert 2.3.0", "0.4 million cycles; 1 to 100 million were fitted"),
    ({"gb_per_s": None}, {}, "litert 2.3.0", "the memory's bandwidth is unknown; taken as 14.9 GB/s"),
]


@pytest.mark.parametrize(("place", "work", "runtime", "warning"), EXTRAPOLATIONS)
def test_an_extrapolation_says_so_and_is_less_certain(
    place: dict[str, object], work: dict[str, object], runtime: str, warning: str
) -> None:
    found = predict(
        dataclasses.replace(WORK, **work),
        dataclasses.replace(A75, **place),
        runtime,
        FITTED,  # type: ignore[arg-type]
    )
    assert found.warnings == (warning,)
    assert found.high / found.ms == pytest.approx(2.0)


def test_a_network_that_is_a_little_smaller_is_no_extrapolation() -> None:
    found = predict(dataclasses.replace(WORK, by_class={"fmla": 6e5}), A75, "litert 2.3.0", FITTED)
    assert found.warnings == ()
    assert found.ms / found.low == pytest.approx(1.25)


def test_operators_of_a_small_network_may_start_for_nothing() -> None:
    """0.2 ms of cycles, 1 of memory, 0.02 of operators, which the low end leaves out."""
    found = predict(dataclasses.replace(WORK, by_class={"fmla": 4e5}), A75, "litert 2.3.0", FITTED)
    assert (found.low, found.high) == pytest.approx((1.2 / 2, 1.22 * 2))


@pytest.mark.parametrize("phone", ["Pixel 6", "Galaxy S21", "Galaxy S22"])
def test_a_phone_of_2021_is_an_extrapolation(phone: str) -> None:
    place = place_threads(find_device(phone, load_devices()), 1)
    assert f"no published figure of {place.core} was fitted" in predict(WORK, place, "litert 2.3.0").warnings


def test_threads_take_the_fastest_alike_cores() -> None:
    """Snapdragon 855: one A76 at 2.84 GHz, three at 2.42, four A55."""
    pixel = find_device("pixel-4", load_devices())
    assert place_threads(pixel, 1) == Placement(core="cortex-a76", ghz=(2.84,), gb_per_s=34.1)
    assert place_threads(pixel, 4).ghz == (2.84, 2.42, 2.42, 2.42)
    with pytest.raises(RecipeError, match="Pixel 4: 5 threads on 4 × cortex-a76, its fast cores"):
        place_threads(pixel, 5)


def test_the_rates_that_ship_are_physical() -> None:
    """No memory is faster than its peak, no line from a second cache takes longer than one from memory."""
    fitted = load_rates()
    assert 1 <= fitted.rates.memory_slowdown < 5
    assert 0 <= fitted.rates.line_cycles < 30
    assert 1 <= fitted.rates.widening_slowdown < 2
    assert fitted.ratio_spread > 1
    assert 1 < fitted.spread <= fitted.far_spread
