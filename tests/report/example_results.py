"""A run's results as the quickstart would leave them: synthetic, seeded, with MobileNet-like magnitudes."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from compress.gate import judge
from compress.measure.accuracy import pack_bits
from compress.measure.comparison import Reference
from compress.measure.latency import Baseline, latency
from compress.measure.paired import paired_interval
from compress.measure.scores import estimate_proportion
from compress.types import METRICS, Artifact, Budget, Measurement, Results

RUNTIMES = {"onnx": "onnxruntime 1.32.0", "tflite": "litert 2.3.0", "safetensors": "torch 2.13.0"}
CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")
TEST_IMAGES, EMULATED_IMAGES = 10_000, 256
PRECISIONS = {"float32": "float32", "float16": "float16", "int8": "static_int8"}

BUDGETS = (
    Budget(metric="accuracy", artifact="teacher-float32.*", at_least=0.925, line="quickstart.yaml:40:5"),
    Budget(metric="accuracy_drop", artifact="student-int8.*", at_most=0.03, judge="interval"),
    Budget(metric="size_bytes", artifact="student-int8.tflite", at_most=0.05, relative_to="teacher-float32.*"),
    Budget(metric="int8_op_share", artifact="student-int8.tflite", at_least=1),
    Budget(
        metric="instructions",
        artifact="student-int8.tflite",
        target="cortex-a76",
        at_most=0.0667,
        relative_to="teacher-float32.*",
    ),
)
FAILING = (
    Budget(metric="latency_ms", artifact="student-int8.*", at_most=0.01),
    Budget(metric="instructions", artifact="student-int8.tflite", target="cortex-x2", at_most=1e6),
)

SIZES = {
    "teacher-float32.onnx": 2_731_204,
    "teacher-float32.tflite": 2_718_912,
    "student-float32.onnx": 183_420,
    "student-float32.tflite": 171_336,
    "student-float16.onnx": 108_911,
    "student-float16.tflite": 93_080,
    "student-int8.onnx": 71_305,
    "student-int8.tflite": 49_824,
}
CORRECT = {"teacher": 9_361, "student-float32": 9_214, "student-float16": 9_213, "student-int8": 9_192}
MEDIAN_MS = {
    "teacher-float32.onnx": 2.41,
    "teacher-float32.tflite": 1.93,
    "student-float32.onnx": 0.198,
    "student-float32.tflite": 0.142,
    "student-float16.onnx": 0.231,
    "student-float16.tflite": 0.143,
    "student-int8.onnx": 0.187,
    "student-int8.tflite": 0.101,
}
MEGA_INSTRUCTIONS = {  # on the A76; older cores execute more
    "teacher-float32.onnx": 12.41,
    "teacher-float32.tflite": 9.12,
    "student-float32.onnx": 1.83,
    "student-float32.tflite": 1.14,
    "student-float16.onnx": 2.02,
    "student-float16.tflite": 1.14,
    "student-int8.onnx": 0.94,
    "student-int8.tflite": 0.506,
}
CORE_FACTOR = {"float": (1.62, 1.53, 1.03, 1.0), "int8": (2.67, 1.23, 2.31, 1.0)}
MIX = {
    "float": {"fmla_fp32": 0.41, "vector_load": 0.22, "vector_store": 0.06, "integer": 0.17, "branch": 0.05},
    "dot": {"dot": 0.14, "vector_load": 0.21, "vector_store": 0.04, "integer": 0.33, "branch": 0.09},
    "mlal": {"mlal": 0.31, "vector_load": 0.18, "vector_store": 0.04, "integer": 0.24, "branch": 0.06},
}


def example(
    *, emulated: bool = True, failing: bool = False, only: str | None = None, name: str = "quickstart"
) -> Results:
    """Results of a whole run.

    Args:
        emulated: False leaves out ARM64, as on a machine without the emulator.
        failing: adds a budget that fails and one on something unmeasured.
        only: keep a single artifact.
        name: of the run.
    """
    weights = [_artifact(f"{role}.safetensors", role, "float32", size) for role, size in _WEIGHTS]
    files = [_artifact(n, n.split("-")[0], PRECISIONS[n.split("-")[1].split(".")[0]], s) for n, s in SIZES.items()]
    files = [file for file in files if only in (None, file.name)]
    weights = weights if only is None else []
    by_name = {artifact.name: artifact for artifact in (*files, *weights)}
    found = [m for file in files for m in _measure_file(file, by_name)]
    found += [m for model in weights for m in _measure_torch(model, by_name)]
    if emulated:
        found += [m for file in files for place, core in enumerate(CORES) for m in _emulate(file, core, place)]
    artifacts = (*files, *weights)
    budgets = BUDGETS + (FAILING if failing else ())
    missing = "ARM64 was not measured: no apt-get on this machine. Its budgets are MISSING; the host's are complete."
    return Results(
        name=name,
        artifacts=artifacts,
        measurements=tuple(found),
        verdicts=judge(budgets, artifacts, found),
        audits={file.sha256: _audit(file) for file in files},
        provenance=_PROVENANCE,
        notes=() if emulated else (missing,),
    )


def with_name(results: Results, old: str, new: str) -> Results:
    """The same results with one artifact called otherwise, judged again."""
    artifacts = tuple(dataclasses.replace(a, name=new) if a.name == old else a for a in results.artifacts)
    return dataclasses.replace(results, artifacts=artifacts, verdicts=judge(BUDGETS, artifacts, results.measurements))


_WEIGHTS = (("teacher", 2_742_016), ("student", 172_480), ("student_alone", 172_480))

_PROVENANCE: dict[str, Any] = {
    "recipe": {
        "name": "quickstart",
        "sha256": hashlib.sha256(b"recipe").hexdigest(),
        "text": "name: quickstart # <the run's folder>\nseed: 0\nteacher:\n"
        "  model: {call: 'compress.models.resnet:resnet'}\nbudgets:\n"
        "  - {metric: accuracy, artifact: 'teacher-float32.*', at_least: 0.925}\n",
    },
    "seed": 0,
    "task": {
        "name": "fashion-mnist",
        "source": "dataset-fashion-mnist",
        "classes": ["T-shirt/top", "Trouser", "Pullover"],
        "splits": {
            split: {"images": images, "sha256": hashlib.sha256(split.encode()).hexdigest()}
            for split, images in (("train", 54_000), ("calibration", 1_000), ("validation", 5_000), ("test", 10_000))
        },
    },
    "versions": {"compress": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "onnxruntime": "1.32.0"},
    "machine": {"system": "Linux", "processor": "x86_64", "training": {"device": "cpu", "bf16": False, "threads": 2}},
    "training": [{"role": "teacher", "weights_sha256": "0" * 64, "epochs": [{"epoch": 1, "loss": 0.5}]}],
    "sensitivity": {
        "images": 32,
        "whole": {"sqnr_db": 21.4, "agreement": 0.96875},
        "layers": [
            {"layer": "input_1 (input)", "node": "input_1", "parameters": 0, "sqnr_db": 200.0, "agreement": 1.0},
            *(
                {
                    "layer": f"blocks.{number}.conv (aten.conv2d.default)",
                    "node": f"conv2d_{number}",
                    "parameters": 1_000 + number,
                    "sqnr_db": 24.0 + 3 * (number * 7 % 15),
                    "agreement": 1.0 if number else 0.9375,
                }
                for number in range(15)
            ),
        ],
    },
    "quantization": {
        f"student-int8.{fmt}": {
            "parameters": {"input": {"scale": 0.0039, "zero_point": -128}},
            "left_in_float": [{"node": "blocks.0.act (aten.exp.default)", "reason": "no integer kernel"}],
        }
        for fmt in ("onnx", "tflite")
    },
}


def _artifact(name: str, role: str, precision: str, size: int) -> Artifact:
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return Artifact(
        name=name,
        role=role,
        path=f"models/{name}",
        format=name.rsplit(".", 1)[1],  # type: ignore[arg-type]
        precision=precision,  # type: ignore[arg-type]
        sha256=sha256,
        size_bytes=size,
    )


def _measurement(artifact: Artifact, metric: str, value: float, **changes: Any) -> Measurement:
    usual: dict[str, Any] = {
        "metric": metric,
        "unit": METRICS[metric],
        "value": value,
        "n": TEST_IMAGES,
        "artifact": artifact.sha256,
        "runtime": RUNTIMES[artifact.format],
        "target": "host",
        "how": "native",
    }
    return Measurement(**(usual | changes))


def _measure_file(file: Artifact, by_name: dict[str, Artifact]) -> list[Measurement]:
    static = {"n": 1, "runtime": "file", "how": "static"}
    teacher = file.role == "teacher"
    found = [
        _measurement(file, "size_bytes", file.size_bytes, **static),
        _measurement(file, "parameters", 678_794 if teacher else 40_842, **static),
        _measurement(file, "macs", 31_480_832 if teacher else 1_913_600, **static),
        _measurement(file, "int8_op_share", float(file.precision == "static_int8"), **static),
    ]
    model = file.name.rsplit(".", 1)[0]
    correct = CORRECT["teacher" if teacher else model] - (3 if file.format == "onnx" else 0)
    found += _scores(file, correct, by_name.get(f"teacher-float32.{file.format}"), "test")
    found += _against_torch(file, by_name)
    if not teacher and file.format == "onnx" and (other := by_name.get(f"{model}.tflite")):
        share = estimate_proportion(9_987, TEST_IMAGES)
        details = Reference(against="other_format", sha256=other.sha256, name=other.name).details()
        found.append(
            _measurement(
                file, "agreement", share.value, interval=share.interval, reference=other.sha256, details=details
            )
        )
    return [*found, _latency(file, by_name.get(f"teacher-float32.{file.format}"))]


def _scores(artifact: Artifact, correct: int, teacher: Artifact | None, split: str) -> list[Measurement]:
    accuracy = estimate_proportion(correct, TEST_IMAGES)
    f1 = accuracy.value - 0.0006
    found = [
        _measurement(
            artifact,
            "accuracy",
            accuracy.value,
            interval=accuracy.interval,
            split=split,
            details=_correct_images(correct),
        ),
        _measurement(artifact, "macro_f1", f1, interval=(f1 - 0.0055, f1 + 0.0054), split=split),
    ]
    if artifact.role == "student" and artifact.format == "safetensors":
        details = Reference(against="teacher", sha256="0" * 64, name="teacher.safetensors").details()
        found.append(_measurement(artifact, "agreement", 0.9591, interval=(0.955, 0.9628), details=details))
    if teacher is not None and artifact.role != "teacher":
        lost = CORRECT["teacher"] - correct + 210
        found.append(
            _measurement(
                artifact,
                "accuracy_drop",
                (lost - 210) / TEST_IMAGES,
                interval=paired_interval(lost, 210, TEST_IMAGES),
                reference=teacher.sha256,
                split=split,
                details={"against": "teacher", "compared_with": teacher.name, "lost": lost, "gained": 210},
            )
        )
    return found


def _against_torch(file: Artifact, by_name: dict[str, Artifact]) -> list[Measurement]:
    quantised = file.precision == "static_int8"
    weights = by_name.get(f"{file.role}.safetensors")
    common: dict[str, Any] = {
        "n": EMULATED_IMAGES,
        "reference": weights.sha256 if weights else "0" * 64,
        "split": "test",
        "details": {"against": "torch", "compared_with": "torch"},
    }
    return [
        _measurement(file, "max_abs_difference", 0.0874 if quantised else 3.8e-6, **common),
        _measurement(file, "sqnr_db", 41.3 if quantised else 128.6, **common),
        _measurement(file, "bit_exact", 0.8125 if quantised else 0.0039, **common),
    ]


def _correct_images(correct: int) -> dict[str, Any]:
    """The first images are right, except that every model misses some of its own at the beginning."""
    missed = np.arange(TEST_IMAGES) < correct % 7
    right = ~missed & (np.cumsum(~missed) <= correct)
    return {"correct": correct, "correct_images": pack_bits(right)}


def _latency(file: Artifact, teacher: Artifact | None) -> Measurement:
    def samples(name: str) -> Any:
        rng = np.random.default_rng(list(name.encode()))
        return 1e6 * MEDIAN_MS[name] * rng.lognormal(0, 0.02, (5, 1)) * (0.93 + rng.gamma(1.4, 0.06, (5, 30)))

    baseline = None
    if teacher is not None and teacher != file:
        reference = Reference(against="teacher", sha256=teacher.sha256, name=teacher.name)
        baseline = Baseline(reference=reference, samples_ns=samples(teacher.name))
    machine = {"processor": "AMD EPYC 7B13", "cores": 2, "architecture": "x86_64", "system": "Linux 6.1"}
    return latency(
        file.sha256,
        samples(file.name),
        runtime=RUNTIMES[file.format],
        target="host",
        details={"threads": 1, "warmup": 5, "machine": machine},
        baseline=baseline,
    )


def _measure_torch(model: Artifact, by_name: dict[str, Artifact]) -> list[Measurement]:
    correct = {"teacher": 9_361, "student": 9_215, "student_alone": 9_094}[model.role]
    teacher = by_name["teacher.safetensors"] if model.role != "teacher" else None
    parameters = 678_794 if model.role == "teacher" else 40_842
    return [
        *_scores(model, correct, teacher, "test"),
        _measurement(model, "parameters", parameters, n=1, runtime="file", how="static"),
    ]


def _emulate(file: Artifact, core: str, place: int) -> list[Measurement]:
    quantised = file.precision == "static_int8"
    instructions = round(1e6 * MEGA_INSTRUCTIONS[file.name] * CORE_FACTOR["int8" if quantised else "float"][place])
    mix = MIX["float" if not quantised else "dot" if core in ("cortex-a55", "cortex-a76") else "mlal"]
    by_class = {name: int(share * instructions) for name, share in mix.items()}
    by_class["other"] = instructions - sum(by_class.values())
    repeats = [instructions] * 3 if file.format == "tflite" else [instructions + 311, instructions, instructions + 97]
    where: dict[str, Any] = {"target": core, "how": "emulated"}
    asked = 31_480_832 if file.role == "teacher" else 1_913_600
    accuracy = estimate_proportion(236 if quantised else 237, EMULATED_IMAGES)
    compared: dict[str, Any] = {
        "n": EMULATED_IMAGES,
        "reference": file.sha256,
        "split": "test",
        "details": {"against": "host", "compared_with": "host"},
    }
    same = quantised and file.format == "tflite"
    found = [
        _measurement(
            file, "instructions", instructions, n=3, details={"by_class": by_class, "repeats": repeats}, **where
        ),
        _measurement(file, "executed_macs", round(asked * (1.021 + 0.003 * place)), n=3, **where),
        _measurement(
            file, "accuracy", accuracy.value, n=EMULATED_IMAGES, interval=accuracy.interval, split="test", **where
        ),
        _measurement(file, "max_abs_difference", 0.0 if same else 2.4e-6 * (place + 1), **compared, **where),
        _measurement(file, "bit_exact", 1.0 if same else 0.43 - 0.02 * place, **compared, **where),
    ]
    return found if same else [*found, _measurement(file, "sqnr_db", 131.0 - place, **compared, **where)]


def _audit(file: Artifact) -> dict[str, Any]:
    quantised = file.precision == "static_int8"
    teacher = file.role == "teacher"
    parameters = 678_794 if teacher else 40_842
    graph = 9_400 if file.format == "onnx" else 5_210
    quantization = 4_950 if quantised else 0
    weights = int(parameters * {"float32": 4, "float16": 2, "static_int8": 1}[file.precision] * 0.9)
    rest = file.size_bytes - weights - graph - quantization
    return {
        "int8_op_share": float(quantised),
        "compute_ops": 24 if teacher else 19,
        "ops": {"CONV_2D": 12, "DEPTHWISE_CONV_2D": 6, "MEAN": 1, "FULLY_CONNECTED": 1},
        "float_islands": [],
        "conversions": 0,
        "transposes": 0,
        "macs": 31_480_832 if teacher else 1_913_600,
        "parameters": parameters,
        "bytes": {
            "weights": weights,
            "biases": rest * 2 // 3,
            "quantization": quantization,
            "graph": graph,
            "metadata": rest - rest * 2 // 3,
        },
    }
