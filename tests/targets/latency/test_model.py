"""Milliseconds from work, against sums by hand; what is not known is refused, and what is far off said."""

from __future__ import annotations

import dataclasses

import pytest

from compress.errors import RecipeError
from compress.targets.devices import find_device, load_devices
from compress.targets.latency.model import predict
from compress.targets.latency.placement import Placement, place_threads
from compress.targets.latency.rates import Fitted, Rates, Seen, Spread, load_rates
from compress.targets.latency.work import Work

RATES = Rates(line_cycles=10, memory_slowdown=2, operator_cycles=1000, widening_slowdown=1.5)
FITTED = Fitted(
    rates=RATES,
    seen={
        "cortex-a73": Seen(classes=("fmla", "other"), threads=(1, 4)),
        "cortex-a75": Seen(classes=("fmla", "mlal", "other"), threads=(1, 2)),
    },
    runtimes=("litert",),
    cycles=(1e6, 1e8),
    one_thread=Spread(near=1.25, far=2.0, ratio=1.1),
    several_threads=Spread(near=1.5, far=2.0, ratio=1.2),
)
WORK = Work(by_class={"fmla": 6e6, "other": 2e6}, lines=(200_000, 125_000), operators=40)
A75 = Placement(core="cortex-a75", ghz=(2.0,), shared_cache_kib=2048, gb_per_s=16.0)


def test_one_thread_by_hand() -> None:
    """8 M cycles at 2 GHz: 4 ms; 8 MB at half of 16 GB/s: 1; 40 operators: 0.02."""
    found = predict(WORK, A75, "litert 2.3.0", FITTED)
    assert found.parts == pytest.approx({"fmla": 3.0, "other": 1.0, "caches": 0, "memory": 1.0, "operators": 0.02})
    assert found.ms == pytest.approx(5.02)
    assert (found.low, found.high) == pytest.approx((5.02 / 1.25, 5.02 * 1.25))
    assert (found.warnings, found.confidence, found.ratio_spread) == ((), 0.9, 1.1)


def test_several_threads_are_less_certain() -> None:
    found = predict(WORK, dataclasses.replace(A75, ghz=(2.0, 2.0)), "litert 2.3.0", FITTED)
    assert (found.warnings, found.confidence, found.ratio_spread) == ((), 0.9, 1.2)
    assert (found.low, found.high) == pytest.approx((found.ms / 1.5, found.ms * 1.5))


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
    ({}, {"by_class": {"dot": 8e6}}, "litert 2.3.0", "no published figure with dot on cortex-a75 was fitted"),
    ({"core": "cortex-a76"}, {"by_class": {"dot": 8e6}}, "litert 2.3.0", "no published figure with dot was fitted"),
    ({"core": "cortex-a73"}, {"by_class": {"mlal": 8e6}}, "litert 2.3.0",
     "no published figure with mlal on cortex-a73 was fitted"),
    ({"ghz": (2.0,) * 4}, {}, "litert 2.3.0", "cortex-a75 was fitted with at most 2 threads"),
    ({}, {"by_class": {"fmla": 4e5}}, "litert 2.3.0", "0.4 million cycles; 1 to 100 million were fitted"),
    ({"gb_per_s_range": (16.0, 16.0)}, {}, "litert 2.3.0",
     "the memory's bandwidth is unknown; the interval holds for 16 to 16 GB/s"),
]  # fmt: skip


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
    assert warning in found.warnings
    assert found.high / found.ms == pytest.approx(2.0)
    assert found.confidence is None
    assert found.ratio_spread == pytest.approx(FITTED.spread(len(place.get("ghz", (2.0,)))).ratio ** 2)  # type: ignore[arg-type]


def test_a_network_that_is_a_little_smaller_is_no_extrapolation() -> None:
    found = predict(dataclasses.replace(WORK, by_class={"fmla": 6e5}), A75, "litert 2.3.0", FITTED)
    assert found.warnings == ()
    assert found.ms / found.low == pytest.approx(1.25)


def test_operators_of_a_small_network_may_start_for_nothing() -> None:
    """0.2 ms of cycles, 1 of memory, 0.02 of operators, which the low end leaves out."""
    found = predict(dataclasses.replace(WORK, by_class={"fmla": 4e5}), A75, "litert 2.3.0", FITTED)
    assert (found.low, found.high) == pytest.approx((1.2 / 2, 1.22 * 2))


def test_an_unknown_memory_is_every_one_that_it_may_be() -> None:
    """4.02 ms and 8 MB, which 4, 16 or 64 GB/s move in 4, 1 or 0.25 ms at half their peak."""
    found = predict(WORK, dataclasses.replace(A75, gb_per_s_range=(4.0, 64.0)), "litert 2.3.0", FITTED)
    assert found.ms == pytest.approx(5.02)
    assert (found.low, found.high) == pytest.approx((4.27 / 2, 8.02 * 2))


def test_the_memory_of_a_device_is_as_described_or_as_others_of_its_type() -> None:
    """LPDDR4X from 2 x 16 bits at 1866 MHz to 4 x 16 bits at 2133; a chip without a word on it may have any."""
    devices = load_devices()
    assert place_threads(find_device("Raspberry Pi 3B", devices), 1).gb_per_s == pytest.approx(450e6 * 2 * 4 / 1e9)
    board = place_threads(find_device("Khadas VIM3", devices), 1)
    assert board.gb_per_s_range == (14.9, 34.1)
    assert board.gb_per_s == pytest.approx((14.9 * 34.1) ** 0.5)
    unknown = dataclasses.replace(find_device("Khadas VIM3", devices), memory=None)
    assert place_threads(unknown, 1).gb_per_s_range == (3.6, 51.2)


@pytest.mark.parametrize("phone", ["Pixel 6", "Galaxy S21", "Galaxy S22"])
def test_a_phone_of_2021_is_an_extrapolation(phone: str) -> None:
    place = place_threads(find_device(phone, load_devices()), 1)
    assert f"no published figure of {place.core} was fitted" in predict(WORK, place, "litert 2.3.0").warnings


def test_threads_take_the_fastest_alike_cores() -> None:
    """Snapdragon 855: one A76 at 2.84 GHz, three at 2.42, four A55."""
    pixel = find_device("pixel-4", load_devices())
    assert place_threads(pixel, 1) == Placement(core="cortex-a76", ghz=(2.84,), shared_cache_kib=5120, gb_per_s=34.1)
    assert place_threads(pixel, 4).ghz == (2.84, 2.42, 2.42, 2.42)
    assert place_threads(find_device("Raspberry Pi 5", load_devices()), 1).shared_cache_kib == 2048
    with pytest.raises(RecipeError, match="Pixel 4: 5 threads on 4 × cortex-a76, its fast cores"):
        place_threads(pixel, 5)


def test_the_rates_that_ship_are_physical() -> None:
    """No memory is faster than its peak, no line from a second cache takes longer than one from memory."""
    fitted = load_rates()
    assert 1 <= fitted.rates.memory_slowdown < 5
    assert 0 <= fitted.rates.line_cycles < 30
    assert 1 <= fitted.rates.widening_slowdown < 2
    for spread in (fitted.one_thread, fitted.several_threads):
        assert 1 < spread.near < spread.far
        assert spread.ratio > 1
