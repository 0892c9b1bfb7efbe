"""A budget that no run of the recipe could judge is a mistake in the recipe."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tiny_recipe import TINY

Complain = Callable[[str | bytes], list[str]]
HEAD, _, _ = TINY.partition("budgets:\n")
DEVICES = "[{name: pi4, ssh: pi@raspberry, rounds: 3}, {name: phone, adb: any, benchmark_model: b, rounds: 2}]"
PHONES = "{names: [pixel-4, Raspberry Pi 4], threads: 4}"
MEASURED = (
    f"benchmark: {{host: {{rounds: 2}}, arm64: {{cores: [cortex-a53, cortex-a55]}}, phones: {PHONES},"
    f" devices: {DEVICES}}}\n"
)
INT8 = "student-int8.tflite"


def budget(**keys: object) -> str:
    quoted = {key: f'"{value}"' if key == "artifact" else value for key, value in keys.items()}
    return "{" + ", ".join(f"{key}: {value}" for key, value in quoted.items()) + "}"


def recipe(*budgets: str, head: str = HEAD + MEASURED) -> str:
    return head + "budgets:\n" + "".join(f"  - {each}\n" for each in budgets)


POSSIBLE = [
    *(
        budget(metric=metric, artifact=INT8, at_least=0)
        for metric in (
            "accuracy", "macro_f1", "accuracy_drop", "agreement", "max_abs_difference", "sqnr_db", "bit_exact", "macs",
            "parameters", "latency_ms", "size_bytes", "int8_op_share", "conversions", "transposes",
        )
    ),
    *(
        budget(metric=metric, artifact="*-*.*", target="cortex-a55", at_most=1)
        for metric in (
            "accuracy", "macro_f1", "max_abs_difference", "sqnr_db", "bit_exact", "instructions", "executed_macs",
        )
    ),
    *(
        budget(metric=metric, artifact="*-*.*", target="pi4", at_most=1)
        for metric in ("accuracy", "macro_f1", "max_abs_difference", "sqnr_db", "bit_exact", "latency_ms")
    ),
    budget(metric="latency_ms", artifact=INT8, target="pi4", at_most=1, judge="interval"),
    budget(metric="latency_ms", artifact="*.tflite", target="phone", at_most=1, relative_to='"teacher-*"'),
    budget(metric="accuracy", artifact="*.safetensors", at_least=0.5, judge="interval"),
    budget(metric="accuracy_drop", artifact="student.safetensors", at_most=0),
    budget(metric="agreement", artifact="student.safetensors", at_least=0.5, judge="interval"),
    budget(metric="runs", artifact="*-*", target="cortex-a53", at_least=1),
    budget(metric="instructions", artifact=INT8, target="cortex-a53", at_most=1, judge="interval"),
    budget(metric="size_bytes", artifact=INT8, at_most=1, judge="interval", target="host"),
    budget(metric="predicted_latency_ms", artifact="*-*.*", target="pixel-4", at_most=1),
    budget(metric="predicted_latency_ms", artifact=INT8, target="Raspberry Pi 4", at_most=1, relative_to='"teacher-*"'),
    budget(metric="accuracy", artifact=INT8, at_least=1.01, relative_to='"teacher-*"'),
]  # fmt: skip


AUTO = HEAD.replace("static_int8", "auto")


@pytest.mark.parametrize(
    "written",
    [
        budget(metric="accuracy", artifact="*-auto.onnx", at_least=0.5),
        budget(metric="accuracy_drop", artifact="student-*", at_most=0.01, judge="interval"),
    ],
)
def test_auto_chooses_by_a_budget_on_the_accuracy_of_its_files(written: str, complain: Complain) -> None:
    assert complain(recipe(written, head=AUTO)) == []


@pytest.mark.parametrize(
    "written",
    [
        budget(metric="accuracy", artifact="student-float32.*", at_least=0.5),
        budget(metric="agreement", artifact="student-auto.*", at_least=0.5),  # both files may be wrong alike
        budget(metric="accuracy", artifact="student-auto.*", at_most=0.5),
        budget(metric="accuracy", artifact="student-auto.*", at_least=0.5, relative_to='"teacher-*"'),
    ],
)
def test_no_other_budget_tells_auto_how_accurate_to_be(written: str, complain: Complain) -> None:
    (line,) = complain(recipe(written, head=AUTO))
    assert "quantize[1]: auto has nothing to choose by" in line


@pytest.mark.parametrize("written", POSSIBLE)
def test_what_a_run_measures_can_be_limited(written: str, complain: Complain) -> None:
    assert complain(recipe(written)) == []


IMPOSSIBLE = [
    (budget(metric="latency_ms", artifact=INT8, target="cortex-a53", at_most=1), "cortex-a53",
     "target: latency_ms is not measured on cortex-a53; leave target out: it is measured on the host"),
    (budget(metric="size_bytes", artifact=INT8, target="cortex-a53", at_most=1), "cortex-a53",
     "target: size_bytes is not measured on cortex-a53; leave target out: it is measured on the host"),
    (budget(metric="accuracy_drop", artifact="*.tflite", at_most=0.1), '"*.tflite"',
     "artifact: accuracy_drop is what is lost against the teacher, and teacher-float32.tflite is the teacher; name the"
     " student's"),
    (budget(metric="accuracy_drop", artifact=INT8, target="cortex-a53", at_most=0.1), "cortex-a53",
     "target: accuracy_drop is not measured on cortex-a53; leave target out: it is measured on the host"),
    (budget(metric="bit_exact", artifact=INT8, at_least=1, judge="interval"), "interval",
     "judge: bit_exact has no interval; leave judge out, which judges the estimate"),
    (budget(metric="latency_ms", artifact=INT8, at_most=1, judge="interval"), "interval",
     "judge: a latency has no interval below 3 rounds; raise benchmark.host.rounds"),
    (budget(metric="instructions", artifact=INT8, at_most=1), "instructions",
     "metric: instructions is measured on emulated cores alone; name one as target; benchmark.arm64 measures on"
     " cortex-a53, cortex-a55"),
    (budget(metric="instructions", artifact=INT8, target="cortex-a76", at_most=1), "cortex-a76",
     "target: nothing is measured on cortex-a76: benchmark.arm64 measures on cortex-a53, cortex-a55; add it to"
     " benchmark.arm64.cores"),
    (budget(metric="latency_ms", artifact=INT8, target="pi3", at_most=1), "pi3",
     "target: unknown target 'pi3'; did you mean 'pi4'?"),
    (budget(metric="instructions", artifact=INT8, target="pi4", at_most=1), "pi4",
     "target: instructions is not measured on pi4, a device; leave target out, or name a core"),
    (budget(metric="accuracy", artifact=INT8, target="phone", at_least=0.5), "phone",
     "target: accuracy is not measured on phone: over adb, latency_ms alone is; leave target out"),
    (budget(metric="latency_ms", artifact="student-int8.onnx", target="phone", at_most=1), "phone",
     "target: student-int8.onnx is not run on phone: benchmark_model runs .tflite files; name one of those"),
    (budget(metric="latency_ms", artifact=INT8, target="phone", at_most=1, judge="interval"), "interval",
     "judge: a latency has no interval below 3 rounds; raise the rounds of phone"),
    (budget(metric="predicted_latency_ms", artifact=INT8, at_most=1), "predicted",
     "metric: predicted_latency_ms is for phones: name one as target; benchmark.phones names pixel-4, Raspberry Pi 4"),
    (budget(metric="predicted_latency_ms", artifact=INT8, target="pi4", at_most=1), "pi4",
     "target: predicted_latency_ms is for phones: name one as target; benchmark.phones names pixel-4, Raspberry Pi 4"),
    (budget(metric="latency_ms", artifact=INT8, target="pixel-4", at_most=1), "pixel-4",
     "target: latency_ms is not known of pixel-4, where nothing runs; name predicted_latency_ms, or another target"),
    (budget(metric="predicted_latency_ms", artifact="student.*", target="pixel-4", at_most=1), '"student.*"',
     "artifact: predicted_latency_ms is not measured of student.safetensors, the weights; name model files"),
    (budget(metric="size_bytes", artifact="student.*", at_most=1), '"student.*"',
     "artifact: size_bytes is not measured of student.safetensors, the weights; name model files"),
    (budget(metric="gap_recovered", artifact=INT8, at_least=0), f'"{INT8}"',
     "artifact: gap_recovered is not measured of student-int8.tflite, a model file; name student.safetensors"),
    (budget(metric="gap_recovered", artifact="student.safetensors", at_least=0), "gap_recovered",
     "metric: gap_recovered needs a student that was trained alone; set student.compare_alone: true"),
    (budget(metric="accuracy", artifact=INT8, at_least=92.5), "92.5",
     "at_least: accuracy is at most 1, so that nothing keeps 92.5; lower it"),
    (budget(metric="sqnr_db", artifact=INT8, at_least=300), "300",
     "at_least: sqnr_db is at most 200, so that nothing keeps 300; lower it"),
    (budget(metric="accuracy_drop", artifact=INT8, at_most=1, relative_to='"teacher-*"'), '"teacher-*"',
     "relative_to: accuracy_drop is what is lost against the teacher, and teacher-float32.onnx is the teacher; name the"
     " student's"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "place", "message"), IMPOSSIBLE)
def test_what_no_run_measures_cannot(written: str, place: str, message: str, complain: Complain) -> None:
    text = recipe(written)
    (line,) = complain(text)
    number, column, said = line.split(":", 2)
    assert said == f" budgets[0].{message}"
    assert text.splitlines()[int(number) - 1][int(column) - 1 :].startswith(place)


def test_what_the_benchmark_leaves_out(complain: Complain) -> None:
    text = recipe(
        budget(metric="latency_ms", artifact=INT8, at_most=1),
        budget(metric="instructions", artifact=INT8, target="cortex-a53", at_most=1),
        budget(metric="agreement", artifact=INT8, at_least=1),
        head=HEAD.replace("formats: [onnx, tflite]", "formats: [tflite]"),
    )
    assert [line.partition(": ")[2] for line in complain(text)] == [
        "budgets[0].metric: latency_ms is not measured without benchmark.host; add it",
        "budgets[1].target: nothing is measured on cortex-a53: there is no benchmark.arm64; add it to"
        " benchmark.arm64.cores",
        "budgets[2].metric: agreement of student-int8.tflite is with the other format, and formats lists one; add the"
        " other",
    ]


MORE = "variants: [ort, unsigned, float_io]\nverify: {tflite_runtime: [host, cortex-a53]}\n"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (budget(metric="compatible", artifact="*.tflite", at_least=1), None),
        (budget(metric="compatible", artifact="*-float-io.tflite", target="cortex-a53", at_least=1), None),
        (budget(metric="agreement", artifact="student-int8*", at_least=1), None),
        (budget(metric="bit_exact", artifact="student-int8-unsigned.onnx", at_least=1), None),
        (budget(metric="size_bytes", artifact="student-int8*", at_most=1, relative_to='"teacher-float32.*"'), None),
        (budget(metric="instructions", artifact="*.ort", target="cortex-a55", at_most=1, relative_to='"t*-*"'), None),
        (budget(metric="latency_ms", artifact="student-int8.ort", target="pi4", at_most=1), None),
        (budget(metric="compatible", artifact="student-int8.*", at_least=1),
         "artifact: compatible is not measured of student-int8.onnx: tflite-runtime runs .tflite files; name those"),
        (budget(metric="compatible", artifact="*.tflite", target="cortex-a55", at_least=1),
         "target: tflite-runtime is not tried on cortex-a55: verify.tflite_runtime tries it on host, cortex-a53; add"
         " cortex-a55 to it"),
        (budget(metric="latency_ms", artifact="student-int8.ort", at_most=1),
         "artifact: latency_ms of student-int8.ort is not measured on the host: it is optimised for ARM64; name a"
         " device as target"),
        (budget(metric="int8_op_share", artifact="*.ort", at_least=1),
         "artifact: int8_op_share is not read from teacher-float32.ort; name the .onnx file that it is made from"),
    ],
)  # fmt: skip
def test_variants_and_the_older_runtime(written: str, message: str | None, complain: Complain) -> None:
    said = [line.split(" budgets[0].", 1)[1] for line in complain(recipe(written, head=HEAD + MORE + MEASURED))]
    assert said == ([message] if message else [])


def test_an_older_runtime_that_is_not_asked_for(complain: Complain) -> None:
    (line,) = complain(recipe(budget(metric="compatible", artifact=INT8, at_least=1)))
    assert line.endswith(
        "budgets[0].metric: tflite-runtime is not tried on host: verify.tflite_runtime is not set; add host to it"
    )


def test_a_mistake_in_a_budget_hides_no_other(complain: Complain) -> None:
    text = recipe(budget(metric="acuracy", artifact="student-int4.*", at_least=1, relative_to='"teacher-int8.*"'))
    metric, artifact, reference = complain(text)
    assert "unknown metric 'acuracy'; did you mean 'accuracy'?" in metric
    assert "'student-int4.*' matches no artifact of this recipe" in artifact
    assert "'teacher-int8.*' matches no artifact of this recipe" in reference


def test_a_refused_number_is_one_mistake(complain: Complain) -> None:
    (line,) = complain(recipe(budget(metric="size_bytes", artifact=INT8, at_most=".nan")))
    assert "budgets[0].at_most: .nan" in line
