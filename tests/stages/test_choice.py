"""Which scheme is best, and what need not be tried: by the rule, on figures made up for each case."""

from __future__ import annotations

import dataclasses
from statistics import geometric_mean

import pytest

from compress.quantize import (
    DynamicInt8,
    Float16,
    Float32,
    LearntRounding,
    MixedInt8,
    QATInt8,
    StaticInt8,
    WeightOnlyInt8,
)
from compress.recipe import QuantizeConfig
from compress.stages.choice import (
    REPAIRED,
    SCHEMES,
    Broken,
    Tried,
    conclude,
    find_cost,
    find_reason_to_skip,
    give_reason,
    pick,
)
from compress.stages.schemes import read_scheme

CORES = ("cortex-a53", "cortex-a76")


def tried(name: str, *counts: int, kb: int = 100, accuracy: float = 0.9, **fields: object) -> Tried:
    """With instructions on both cores in ONNX, then in TFLite; of the same size in both formats."""
    onnx, tflite = counts[:2], counts[2:]
    per_core = [dict(zip(("onnx", "tflite"), pair, strict=False)) for pair in zip(onnx, tflite, strict=False)]
    return Tried(
        name=name,
        config={"scheme": name},
        accuracy={"onnx": accuracy, "tflite": accuracy},
        size_bytes={"onnx": 1000 * kb, "tflite": 1000 * kb},
        instructions=dict(zip(CORES, per_core, strict=False)),
        **fields,  # type: ignore[arg-type]
    )


FLOAT32 = tried("float32", 1000, 1000, 1000, 1000, kb=400)
FLOAT16 = tried("float16", 1002, 1000, 1000, 999, kb=200)
BROKEN = (Broken("accuracy_drop", "accuracy_drop 0.0312 of student-auto.onnx is above 0.0050", 5.24),)


def test_int8_that_loses_on_the_only_core_is_not_chosen_and_that_is_said() -> None:
    def on_one_core(each: Tried) -> Tried:
        return dataclasses.replace(each, instructions={CORES[0]: {"onnx": each.instructions[CORES[0]]["onnx"]}})

    every = [on_one_core(each) for each in (FLOAT32, FLOAT16, tried("static_int8", 1400, 400, 400, 400))]
    chosen = pick(every)
    assert conclude(chosen, every) == (
        "auto chose float16, the cheapest of 3 schemes that keep the limits: 1.00 times the instructions of float32 on"
        " cortex-a53 in ONNX.",
        "static_int8 needs 1.40 times the instructions of float32 on cortex-a53 in ONNX, so float16 was chosen.",
    )


def test_over_several_cores_and_formats_the_geometric_mean_decides() -> None:
    static = tried("static_int8", 1400, 300, 500, 800)
    assert find_cost(static, FLOAT32).ratio == pytest.approx(geometric_mean([1.4, 0.3, 0.5, 0.8]))
    every = [FLOAT32, FLOAT16, static]
    assert pick(every) is static
    assert conclude(static, every) == (
        "auto chose static_int8, the cheapest of 3 schemes that keep the limits: 0.64 times the instructions of float32"
        " on average.",
        "static_int8 needs 1.40 times the instructions of float32 on cortex-a53 in ONNX, and less elsewhere.",
    )
    assert conclude(static, [dataclasses.replace(FLOAT32, broken=BROKEN), static])[0] == (
        "auto chose static_int8, which alone keeps the limits: 0.64 times the instructions of float32 on average."
    )
    slower = tried("static_int8", 4000, 300, 950, 950)
    assert pick([FLOAT32, FLOAT16, slower]) is FLOAT16
    assert conclude(FLOAT16, [FLOAT32, FLOAT16, slower])[1:] == (
        "static_int8 needs 4.00 times the instructions of float32 on cortex-a53 in ONNX, 1.02 times on average, so"
        " float16 was chosen.",
    )


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([tried("static_int8", 500, 500, 500, 500)], "static_int8"),
        ([tried("static_int8", 500, 500, 500, 500, broken=BROKEN)], "float16"),
        ([tried("static_int8", 500, 500, 500, 500, refused="illegal instruction")], "float16"),
        ([tried("static_int8", 996, 996, 996, 996)], "static_int8"),  # as cheap, and smaller
        ([tried("static_int8", 996, 996, 996, 996, kb=300)], "float16"),
        ([tried("a", 500, 500, 500, 500), tried("b", 499, 499, 499, 499)], "a"),  # the same: the first
        ([tried("a", 500, 500, 500, 500), tried("b", 490, 490, 490, 490)], "b"),
        ([tried("a", 500, 500, 500, 500, kb=90), tried("b", 500, 500, 500, 500, kb=80)], "b"),
    ],
)
def test_fewest_instructions_then_fewest_bytes_then_the_easiest(others: list[Tried], chosen: str) -> None:
    assert pick([FLOAT32, FLOAT16, *others]).name == chosen


def test_without_counts_bytes_are_the_cost() -> None:
    every = [dataclasses.replace(each, instructions={}) for each in (FLOAT32, FLOAT16, tried("static_int8"))]
    assert pick(every).name == "static_int8"
    assert str(find_cost(every[2], every[0])) == "0.25 times the bytes of float32 on average"


def test_where_none_keeps_the_limits_the_most_accurate_is_chosen_and_said() -> None:
    every = [
        dataclasses.replace(FLOAT32, broken=BROKEN),
        tried("float16", 1, 1, 1, 1, accuracy=0.91, broken=BROKEN),
        tried("static_int8", 1, 1, 1, 1, accuracy=0.92, refused="dies on cortex-a53"),
    ]
    chosen = pick(every)
    assert chosen.name == "float16"
    assert conclude(chosen, every) == (
        f"auto chose float16, the most accurate, for no scheme keeps all limits: {BROKEN[0].words}.",
    )


def test_where_only_bytes_or_instructions_are_too_many_what_breaks_its_limits_least_is_chosen() -> None:
    """The lossy one is nearer still, but too inaccurate."""

    def too_big(excess: float) -> tuple[Broken, ...]:
        return (Broken("instructions", "few", 0.01), Broken("size_bytes", f"{excess} too large", excess))

    every = [
        dataclasses.replace(FLOAT32, broken=too_big(9.0)),
        tried("float16", 1, 1, 1, 1, accuracy=0.91, broken=too_big(4.0)),
        tried("static_int8", 1, 1, 1, 1, accuracy=0.89, broken=too_big(2.0)),
        tried("mixed_int8", 1, 1, 1, 1, accuracy=0.8, broken=(*BROKEN, *too_big(1.0))),
    ]
    chosen = pick(every)
    assert chosen.name == "static_int8"
    assert conclude(chosen, every) == (
        "auto chose static_int8, which breaks them least, for no scheme keeps all limits: few; 2.0 too large.",
    )


def test_a_limit_that_nothing_could_judge_is_not_called_kept() -> None:
    open_question = dataclasses.replace(STATIC, unjudged=("latency_ms on pi4", "sqnr_db"))
    every = [dataclasses.replace(FLOAT32, unjudged=("latency_ms on pi4", "sqnr_db")), open_question]
    assert open_question.verdict == "keeps the limits that could be judged"
    assert "keeps the limits that could be judged: 0.50 times" in give_reason(open_question, open_question, every)
    assert conclude(open_question, every)[1] == (
        "Whether it keeps latency_ms on pi4, sqnr_db, the verdict says: nothing could tell before the choice."
    )


def test_where_phones_are_named_their_predicted_latency_decides() -> None:
    """Fewer instructions that take longer do not win."""

    def taking(each: Tried, *ms: float) -> Tried:
        predicted = {name: {"tflite": one} for name, one in zip(("Pixel 4", "Pi 4"), ms, strict=True)}
        return dataclasses.replace(each, predicted_ms=predicted)

    every = [taking(FLOAT32, 10, 20), taking(FLOAT16, 9, 18), taking(STATIC, 8, 45)]
    assert pick(every).name == "float16"
    assert str(find_cost(every[2], every[0])) == "1.34 times the predicted milliseconds of float32 on average"
    large = {"onnx": 900_000, "tflite": 900_000}
    chance = [taking(FLOAT32, 10, 20), taking(dataclasses.replace(FLOAT16, size_bytes=large), 9.6, 19.2)]
    assert pick(chance).name == "float32", "several threads repeat within a few percent: the larger file is no faster"
    assert give_reason(chance[1], chance[0], chance).startswith("needs as many predicted milliseconds as float32")


STATIC = tried("static_int8", 500, 500, 500, 500)
LOSSY = dataclasses.replace(STATIC, broken=BROKEN)
REPAIRED_TOO = dataclasses.replace(LOSSY, name=REPAIRED)
SLOW = tried("static_int8", 1400, 1400, 1400, 1400, broken=BROKEN)
BIG = dataclasses.replace(STATIC, broken=(Broken("size_bytes", "size_bytes 9 of student-auto.onnx is above 8", 0.125),))
REFUSED = Tried(name="static_int8", config={}, refused="no")


@pytest.mark.parametrize(
    ("every", "skipped"),
    [
        ([FLOAT32, LOSSY], {}),
        ([FLOAT32, STATIC], dict.fromkeys((REPAIRED, "mixed_int8", "qat_int8"), "static_int8 keeps the limits")),
        (
            [FLOAT32, LOSSY, tried(REPAIRED, 500, 500, 500, 500)],
            dict.fromkeys(("mixed_int8", "qat_int8"), f"{REPAIRED} keeps"),
        ),
        # trained, it may be as accurate as mixed_int8 and cheaper
        ([FLOAT32, LOSSY, REPAIRED_TOO, tried("mixed_int8", 900, 900, 900, 900)], {}),
        (
            [FLOAT32, LOSSY, REPAIRED_TOO, tried("mixed_int8", 502, 502, 502, 502)],
            {"qat_int8": "mixed_int8 needs no more"},
        ),
        ([FLOAT32, BIG], dict.fromkeys((REPAIRED, "mixed_int8", "qat_int8"), "is above 8")),
        ([FLOAT32, REFUSED], dict.fromkeys((REPAIRED, "mixed_int8", "qat_int8"), "was refused")),
        ([FLOAT32, SLOW], dict.fromkeys((REPAIRED, "qat_int8"), "1.40 times the instructions of float32")),
        (  # training may better the student, rounding better may not
            [dataclasses.replace(FLOAT32, broken=BROKEN), LOSSY],
            dict.fromkeys((REPAIRED, "mixed_int8"), "float32, which breaks a limit"),
        ),
    ],
)
def test_what_cannot_win_any_more_is_not_tried(every: list[Tried], skipped: dict[str, str]) -> None:
    for name in (REPAIRED, "mixed_int8", "qat_int8"):
        if name not in {each.name for each in every}:
            reason = find_reason_to_skip(name, every)
            assert skipped[name] in reason if name in skipped else reason == ""


def test_weights_alone_are_stored_where_dynamic_int8_makes_sense() -> None:
    dynamic = tried("dynamic_int8", 900, 900, 900, 900)
    assert find_reason_to_skip("weight_only_int8", [FLOAT32, FLOAT16, dynamic]) == ""
    refused = Tried(name="dynamic_int8", config={}, refused="3 convolutions do 97 % of the multiply-accumulates")
    assert "little of this network's work" in find_reason_to_skip("weight_only_int8", [FLOAT32, FLOAT16, refused])


def test_every_scheme_has_a_reason() -> None:
    every = [
        FLOAT32,
        FLOAT16,
        STATIC,
        dataclasses.replace(LOSSY, name=REPAIRED),
        Tried(name="x", config={}, refused="no"),
    ]
    reasons = [give_reason(each, STATIC, every) for each in every]
    assert reasons == [
        "static_int8 needs less: 0.50 times the instructions of float32 on average",
        "needs 1.00 times the instructions of float32 on average; static_int8 0.50 times",
        "the cheapest that keeps the limits: 0.50 times the instructions of float32 on average",
        BROKEN[0].words,
        "no",
    ]
    assert give_reason(FLOAT32, FLOAT16, every) == "needs as many instructions as float16, and more bytes"


def test_every_scheme_is_an_entry_of_a_recipe() -> None:
    """The last two with what the run adds; from cheap to costly, and what trains is last."""
    train = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3}
    added: dict[str, object] = {"mixed_int8": {"agreement": 0.9}, "qat_int8": {"train": train}}
    entries = [QuantizeConfig.model_validate({**entry, **added.get(name, {})}) for name, entry in SCHEMES.items()]  # type: ignore[dict-item]
    assert [read_scheme(entry) for entry in entries] == [
        Float32(),
        Float16(),
        DynamicInt8(),
        WeightOnlyInt8(),
        StaticInt8(),
        StaticInt8(rounding=LearntRounding(), bias_correction="calibrated"),
        MixedInt8(agreement=0.9),
        QATInt8(),
    ]
