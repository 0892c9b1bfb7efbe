"""The gate's rules, each with the regression it has to stop."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from compress.errors import NoVerdictError, RecipeError
from compress.gate import exit_code, judge
from compress.types import METRICS, Artifact, Budget, Measurement, Verdict

LITERT, ORT = "litert 2.3.0", "onnxruntime 1.32.0"


def artifact(name: str) -> Artifact:
    kind = "onnx" if name.endswith(".onnx") else "tflite"
    return Artifact(
        name=name,
        role=name.split("-")[0],
        path=f"models/{name}",
        format=kind,  # type: ignore[arg-type]
        precision="static_int8" if "int8" in name else "float32",
        sha256=f"sha of {name}",
        size_bytes=1,
    )


def measured(name: str, metric: str, value: float, **changes: Any) -> Measurement:
    usual: dict[str, Any] = {
        "metric": metric,
        "unit": METRICS[metric],
        "value": value,
        "n": 10_000,
        "artifact": f"sha of {name}",
        "runtime": ORT if name.endswith(".onnx") else LITERT,
        "target": "host",
        "how": "native",
    }
    return Measurement(**(usual | changes))


TEACHER, STUDENT = "teacher-float32.tflite", "student-int8.tflite"
TEACHER_ONNX, STUDENT_ONNX = "teacher-float32.onnx", "student-int8.onnx"
ARTIFACTS = [artifact(name) for name in (TEACHER, STUDENT, TEACHER_ONNX, STUDENT_ONNX)]


def verdict(budget: Budget, *measurements: Measurement) -> Verdict:
    (only,) = judge([budget], ARTIFACTS, measurements)
    return only


def drop_budget(**changes: Any) -> Budget:
    return Budget(**({"metric": "accuracy_drop", "artifact": STUDENT, "at_most": 0.02} | changes))


DROP = measured(STUDENT, "accuracy_drop", 0.0231, interval=(0.0198, 0.0264))


def test_a_regression_fails_and_the_reason_says_all() -> None:
    found = verdict(drop_budget(), DROP)
    assert (found.status, found.artifact, found.value, found.limit) == ("FAIL", STUDENT, 0.0231, 0.02)
    assert found.excess == pytest.approx(0.0031)
    assert found.reason == (
        "student-int8.tflite: accuracy_drop 0.0231 exceeds the limit 0.0200 by 0.0031"
        " (95 % interval 0.0198 to 0.0264, n=10,000, litert 2.3.0, host)"
    )


def test_a_kept_limit_passes_with_excess_zero() -> None:
    found = verdict(drop_budget(at_most=0.03), DROP)
    assert (found.status, found.excess) == ("PASS", 0.0)
    assert "0.0231 keeps the limit 0.0300 (95 %" in found.reason


@pytest.mark.parametrize(
    ("value", "limits", "status"),
    [
        (0.02, {"at_most": 0.02}, "PASS"),
        (0.9350 - 0.9150, {"at_most": 0.02}, "PASS"),  # 0.020000000000000018 in floating point
        (0.0201, {"at_most": 0.02}, "FAIL"),
        (0.02 + 1e-9, {"at_most": 0.02}, "FAIL"),
        (-0.01, {"at_most": 0.0}, "PASS"),
        (0.0, {"at_most": 0.0}, "PASS"),
        (1e-15, {"at_most": 0.0}, "FAIL"),
        (0.02, {"at_most": None, "at_least": 0.02}, "PASS"),
        (0.0199, {"at_most": None, "at_least": 0.02}, "FAIL"),
        (0.03, {"at_most": None, "at_least": 0.02}, "PASS"),
    ],
)
def test_the_limit_itself_is_kept(value: float, limits: dict[str, float | None], status: str) -> None:
    assert verdict(drop_budget(**limits), measured(STUDENT, "accuracy_drop", value)).status == status


def test_at_least_names_what_is_short() -> None:
    found = verdict(drop_budget(metric="accuracy", at_most=None, at_least=0.92), measured(STUDENT, "accuracy", 0.1))
    assert (found.status, found.excess) == ("FAIL", pytest.approx(0.82))
    assert "accuracy 0.1000 falls short of the limit 0.9200 by 0.8200" in found.reason


def test_a_small_excess_is_not_written_as_nothing() -> None:
    found = verdict(drop_budget(), measured(STUDENT, "accuracy_drop", 0.0200004))
    assert "0.0200004 exceeds the limit 0.0200000 by 0.0000004" in found.reason


def test_counts_are_written_whole() -> None:
    budget = drop_budget(metric="size_bytes", at_most=50_000)
    found = verdict(budget, measured(STUDENT, "size_bytes", 51_234, runtime="file", how="static", n=1))
    assert found.reason == (
        "student-int8.tflite: size_bytes 51,234 bytes exceeds the limit 50,000 bytes by 1,234 bytes (static)"
    )


# Every match of a glob


def test_every_matching_artifact_gets_its_own_verdict() -> None:
    budget = drop_budget(artifact="student-int8.*")
    verdicts = judge(
        [budget], ARTIFACTS, [measured(STUDENT, "accuracy_drop", 0.01), measured(STUDENT_ONNX, "accuracy_drop", 0.05)]
    )
    assert [(v.artifact, v.status) for v in verdicts] == [(STUDENT, "PASS"), (STUDENT_ONNX, "FAIL")]


def test_one_unmeasured_match_blocks() -> None:
    verdicts = judge([drop_budget(artifact="student-int8.*")], ARTIFACTS, [measured(STUDENT, "accuracy_drop", 0.01)])
    assert [v.status for v in verdicts] == ["PASS", "MISSING"]
    assert exit_code(verdicts) == 1


def test_a_glob_without_an_artifact_is_missing() -> None:
    found = verdict(drop_budget(artifact="student-int4.*"), DROP)
    assert (found.status, found.value, found.excess, found.artifact) == ("MISSING", None, None, "student-int4.*")
    assert "no artifact is called student-int4.*" in found.reason
    assert STUDENT in found.reason


def test_globs_tell_upper_from_lower_case() -> None:
    assert verdict(drop_budget(artifact="Student-int8.tflite"), DROP).status == "MISSING"


# Which measurement is meant


def instructions(name: str, value: float, target: str, **changes: Any) -> Measurement:
    return measured(name, "instructions", value, target=target, how="emulated", n=3, **changes)


def test_an_unmeasured_target_is_missing_and_the_reason_says_where_it_was_measured() -> None:
    budget = drop_budget(metric="instructions", target="cortex-a76", at_most=1e12)
    found = verdict(budget, instructions(STUDENT, 5e5, "cortex-a53"))
    assert found.status == "MISSING"
    assert found.reason == (
        "student-int8.tflite: no measurement of instructions on cortex-a76:"
        " it was measured on cortex-a53 (litert 2.3.0)"
    )


def test_a_metric_nobody_measured_is_missing() -> None:
    assert "nowhere" in verdict(drop_budget(metric="macro_f1"), DROP).reason


def test_without_a_target_an_emulated_figure_does_not_count() -> None:
    emulated = measured(STUDENT, "accuracy", 0.99, target="cortex-a76", how="emulated", n=256)
    budget = drop_budget(metric="accuracy", at_most=None, at_least=0.9)
    assert verdict(budget, emulated).status == "MISSING"
    assert verdict(budget, emulated, measured(STUDENT, "accuracy", 0.1)).status == "FAIL"
    assert verdict(dataclasses.replace(budget, target="cortex-a76"), emulated).status == "PASS"


def test_another_artifacts_figure_does_not_count() -> None:
    assert verdict(drop_budget(), measured(STUDENT_ONNX, "accuracy_drop", 0.0)).status == "MISSING"


def test_the_runtime_narrows() -> None:
    good, bad = (measured(STUDENT, "accuracy_drop", v, runtime=r) for v, r in ((0.0, LITERT), (0.5, "tflite 2.14")))
    assert verdict(drop_budget(runtime="litert *"), good, bad).status == "PASS"
    assert verdict(drop_budget(runtime="tflite *"), good, bad).status == "FAIL"
    assert "under xnn*" in verdict(drop_budget(runtime="xnn*"), good, bad).reason


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("limits", [{"at_most": 0.02}, {"at_most": None, "at_least": 0.02}])
def test_of_several_figures_the_worst_is_judged(limits: dict[str, float | None], order: int) -> None:
    figures = [measured(STUDENT, "accuracy_drop", value) for value in (0.01, 0.03)][::order]
    found = verdict(drop_budget(**limits), *figures)
    assert found.status == "FAIL"
    assert found.value == (0.03 if limits["at_most"] else 0.01)


# Relative budgets


def size(name: str, value: float) -> Measurement:
    return measured(name, "size_bytes", value, runtime="file", how="static", n=1)


def size_budget(**changes: Any) -> Budget:
    usual = {"metric": "size_bytes", "artifact": STUDENT, "at_most": 0.05, "relative_to": "teacher-float32.*"}
    return Budget(**(usual | changes))


def test_a_ratio_is_taken_to_the_same_format() -> None:
    sizes = size(TEACHER, 1_000_000), size(TEACHER_ONNX, 10), size(STUDENT, 50_000)
    assert verdict(size_budget(), *sizes).value == 0.05
    assert verdict(size_budget(), *sizes).status == "PASS"
    found = verdict(size_budget(), size(TEACHER, 1_000_000), size(TEACHER_ONNX, 10_000_000), size(STUDENT, 62_300))
    assert found.status == "FAIL"
    assert found.reason == (
        "student-int8.tflite: size_bytes relative to teacher-float32.tflite 0.0623 exceeds the limit 0.0500 by 0.0123"
        " (62,300 bytes against 1,000,000 bytes, static)"
    )


def test_a_ratio_is_taken_on_the_same_target_and_runtime() -> None:
    budget = size_budget(metric="instructions", target="cortex-a76")
    student = instructions(STUDENT, 5e5, "cortex-a76")
    assert verdict(budget, student, instructions(TEACHER, 1e9, "cortex-a53")).status == "MISSING"
    assert verdict(budget, student, instructions(TEACHER, 1e9, "cortex-a76", runtime="litert 1.0")).status == "MISSING"
    assert verdict(budget, student, instructions(TEACHER, 1e7, "cortex-a76")).status == "PASS"


@pytest.mark.parametrize(
    ("relative_to", "measurements", "says"),
    [
        ("teacher-float32.*", [size(STUDENT, 1)], "for the reference teacher-float32.tflite"),
        ("teacher-int4.*", [size(STUDENT, 1)], "no tflite artifact is called teacher-int4.*"),
        ("*", [size(STUDENT, 1), size(TEACHER, 9)], "names 2 tflite artifacts"),
        ("teacher-float32.*", [size(STUDENT, 1), size(TEACHER, 0)], "no ratio to it"),
        ("teacher-float32.*", [size(STUDENT, 1), size(TEACHER, -5)], "no ratio to it"),
        ("teacher-float32.*", [size(STUDENT, 1e300), size(TEACHER, 1e-300)], "no figure to judge"),
        ("teacher-float32.*", [size(TEACHER, 9)], "measured nowhere"),
    ],
)
def test_a_ratio_that_cannot_be_taken_is_missing(relative_to: str, measurements: list[Measurement], says: str) -> None:
    found = verdict(size_budget(relative_to=relative_to), *measurements)
    assert found.status == "MISSING"
    assert says in found.reason


# Judging the interval


def test_the_interval_blocks_what_the_estimate_lets_pass() -> None:
    luck = measured(STUDENT, "accuracy_drop", 0.015, interval=(0.005, 0.025), n=200)
    assert verdict(drop_budget(), luck).status == "PASS"
    found = verdict(drop_budget(judge="interval"), luck)
    assert (found.status, found.value) == ("FAIL", 0.025)
    assert "accuracy_drop 0.0250 (high end, estimate 0.0150) exceeds the limit 0.0200 by 0.0050" in found.reason


def test_the_interval_of_at_least_is_judged_at_its_low_end() -> None:
    luck = measured(STUDENT, "accuracy", 0.93, interval=(0.90, 0.95), n=200)
    budget = drop_budget(metric="accuracy", at_most=None, at_least=0.92, judge="interval")
    assert verdict(budget, luck).status == "FAIL"
    assert "(low end, estimate 0.9300)" in verdict(budget, luck).reason


def test_a_crooked_interval_does_not_hide_the_estimate() -> None:
    crooked = measured(STUDENT, "accuracy_drop", 0.5, interval=(0.001, 0.002))
    assert verdict(drop_budget(judge="interval"), crooked).status == "FAIL"


def test_without_an_interval_only_exact_figures_are_judged() -> None:
    assert verdict(drop_budget(judge="interval"), measured(STUDENT, "accuracy_drop", 0.0)).status == "MISSING"
    assert verdict(size_budget(relative_to=None, at_most=9, judge="interval"), size(STUDENT, 9)).status == "PASS"
    budget = size_budget(metric="instructions", target="cortex-a76", relative_to=None, at_most=9, judge="interval")
    assert verdict(budget, instructions(STUDENT, 9, "cortex-a76")).status == "PASS"
    assert verdict(budget, instructions(STUDENT, 10, "cortex-a76")).status == "FAIL"


def test_the_interval_of_a_ratio_takes_the_worst_of_both() -> None:
    student = measured(STUDENT, "latency_ms", 1.0, interval=(0.9, 1.2))
    teacher = measured(TEACHER, "latency_ms", 4.0, interval=(3.0, 5.0))
    budget = size_budget(metric="latency_ms", at_most=0.3, judge="interval")
    assert verdict(budget, student, teacher).value == pytest.approx(1.2 / 3.0)
    assert verdict(dataclasses.replace(budget, judge="estimate"), student, teacher).status == "PASS"
    floor = dataclasses.replace(budget, at_most=None, at_least=0.3)
    assert verdict(floor, student, teacher).value == pytest.approx(0.9 / 5.0)


# Exit codes and unusable budgets


def test_exit_codes() -> None:
    good = verdict(drop_budget(at_most=1.0), DROP)
    assert exit_code([good]) == 0
    for status in ("FAIL", "MISSING", "pass", ""):
        assert exit_code([good, dataclasses.replace(good, status=status)]) == 1  # type: ignore[arg-type]
    with pytest.raises(NoVerdictError, match="add one under `budgets:`") as raised:
        exit_code(judge([], ARTIFACTS, [DROP]))
    assert raised.value.exit_code == 5


@pytest.mark.parametrize(
    "limits",
    [
        {"at_most": None},
        {"at_least": 0.1},
        {"at_most": math.nan},
        {"at_most": math.inf},
        {"at_most": None, "at_least": -math.inf},
    ],
)
def test_a_budget_without_a_usable_limit_is_refused(limits: dict[str, float | None]) -> None:
    with pytest.raises(RecipeError, match=r"quickstart\.yaml:40:5: .* exactly one of the two"):
        verdict(drop_budget(line="quickstart.yaml:40:5", **limits), DROP)


def test_nothing_that_is_not_a_number_passes() -> None:
    smuggled = measured(STUDENT, "accuracy_drop", 0.0)
    object.__setattr__(smuggled, "value", math.nan)
    assert verdict(drop_budget(), smuggled).status == "MISSING"
    assert verdict(drop_budget(at_most=None, at_least=0.0), smuggled).status == "MISSING"
    assert verdict(size_budget(metric="accuracy_drop"), smuggled, measured(TEACHER, "accuracy_drop", 1.0)).status == (
        "MISSING"
    )


# Predictions


def predicted(name: str, *cases: float, spread: float = 1.25, ratio_spread: float = 1.1) -> Measurement:
    """The first of the cases is the estimate."""
    value = cases[0]
    details = {
        "warnings": ["no published figure of cortex-a76 was fitted"], "confidence": None, "cases_ms": cases,
        "ratio_spread": ratio_spread,
    }  # fmt: skip
    interval = (min(cases) / spread, max(cases) * spread)
    return measured(
        name, "predicted_latency_ms", value, n=1, target="pixel-4", how="predicted", interval=interval, details=details
    )


def phone_budget(**changes: Any) -> Budget:
    usual = {"metric": "predicted_latency_ms", "artifact": STUDENT, "target": "pixel-4", "at_most": 12.0}
    return Budget(**(usual | changes))


@pytest.mark.parametrize("how", ["estimate", "interval"])
def test_a_prediction_is_judged_at_its_unfavourable_end(how: str) -> None:
    found = verdict(phone_budget(judge=how), predicted(STUDENT, 10.0))
    assert (found.status, found.value) == ("FAIL", 12.5)
    assert found.reason == (
        "student-int8.tflite: predicted_latency_ms 12.500 ms (high end, estimate 10.000 ms) exceeds the limit"
        " 12.000 ms by 0.500 ms (interval that nothing published tests: 8.000 to 12.500, predicted, no published figure"
        " of cortex-a76 was fitted, litert 2.3.0, pixel-4)"
    )
    near = predicted(STUDENT, 10.0)
    near = dataclasses.replace(near, details={**near.details, "confidence": 0.9, "warnings": []})
    assert "(90 % interval 8.000 to 12.500, predicted, litert" in verdict(phone_budget(judge=how), near).reason
    assert verdict(phone_budget(judge=how), predicted(STUDENT, 9.5)).status == "PASS"
    assert verdict(phone_budget(judge=how, at_most=None, at_least=9.0), predicted(STUDENT, 10.0)).value == 8.0


def test_a_file_is_as_fast_as_itself() -> None:
    """A student without a teacher is the baseline in float32: the same bytes, whatever their latency is."""
    twin = dataclasses.replace(artifact(STUDENT), name=TEACHER, role="teacher")
    for metric, target in (("predicted_latency_ms", "pixel-4"), ("latency_ms", "host")):
        budget = phone_budget(metric=metric, target=target, relative_to=TEACHER, at_most=1.0, judge="interval")
        measurements = (predicted(STUDENT, 10.0), measured(STUDENT, "latency_ms", 10.0, n=9, interval=(9.0, 11.0)))
        (found,) = judge([budget], [artifact(STUDENT), twin], measurements)
        assert (found.status, found.value) == ("PASS", 1.0)


def test_a_ratio_of_predictions_has_an_error_of_its_own() -> None:
    """The ends of the two intervals would give 0.2 * 1.25 * 1.25; of the two ratio spreads the larger counts."""
    both = predicted(STUDENT, 2.0, ratio_spread=1.05), predicted(TEACHER, 10.0, ratio_spread=1.1)
    budget = phone_budget(relative_to="teacher-*.tflite", at_most=0.25)
    found = verdict(budget, *both)
    assert (found.status, found.value) == ("PASS", pytest.approx(0.22))
    assert verdict(dataclasses.replace(budget, at_most=0.21), *both).status == "FAIL"


def test_what_is_unknown_of_a_phone_is_the_same_for_both_files() -> None:
    """Operators of the small file cost 2 ms or nothing, memory takes either 1 or 4 ms: 2/10 to 8/13, times 1.1."""
    both = predicted(STUDENT, 4.0, 2.0, 8.0, 6.0), predicted(TEACHER, 10.0, 10.0, 13.0, 13.0)
    budget = phone_budget(relative_to="teacher-*.tflite", at_most=1.0)
    assert verdict(budget, *both).value == pytest.approx(1.1 * 8 / 13)
    assert verdict(dataclasses.replace(budget, at_most=None, at_least=0.1), *both).value == pytest.approx(0.2 / 1.1)


def test_a_prediction_is_no_latency() -> None:
    with pytest.raises(ValueError, match="what is predicted has a metric of its own"):
        measured(STUDENT, "latency_ms", 1.0, how="predicted")
    with pytest.raises(ValueError, match="what is predicted has a metric of its own"):
        measured(STUDENT, "predicted_latency_ms", 1.0, how="native")
    latency = phone_budget(metric="latency_ms")
    assert verdict(latency, predicted(STUDENT, 1.0)).status == "MISSING"
