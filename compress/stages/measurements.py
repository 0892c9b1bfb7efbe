"""From what the stages left to measurements: pure arithmetic on arrays, nothing is run here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import combinations
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from compress.measure.accuracy import Predictions, score, score_agreement, score_drop, score_gap
from compress.measure.comparison import Reference
from compress.measure.fidelity import check_alive, compare_logits
from compress.measure.latency import Baseline, latency
from compress.stages.compatibility import OnOldRuntime
from compress.stages.context import Run
from compress.stages.elsewhere import SPLIT, judge_old_runtime, measure_device, measure_emulated, measure_runs
from compress.stages.emulate import Emulated, FailedOnCore
from compress.stages.export import Exported
from compress.stages.on_device import OnDevice
from compress.stages.trained import Trained
from compress.targets import decode
from compress.types import METRICS, Json, Measurement


@dataclass(frozen=True, kw_only=True, eq=False)
class OnHost:
    """What one artifact answered on the host: logits (n, classes), and their classes."""

    exported: Exported
    logits: NDArray[np.float32]
    predictions: Predictions


def measure(
    run: Run,
    trained: Sequence[Trained],
    exported: Sequence[Exported],
    outputs: Mapping[str, NDArray[np.generic]],
    classes: Mapping[str, Path],
    emulated: Sequence[Emulated],
    failed: Sequence[FailedOnCore],
    devices: Sequence[OnDevice],
    tried: Sequence[OnOldRuntime],
    latencies: Mapping[str, Json],
) -> tuple[Measurement, ...]:
    """Every measurement of the run.

    Args:
        run: the run.
        trained: teacher first.
        exported: artifacts, the teacher's first.
        outputs: artifact sha256 -> raw outputs (n, classes) of all test images on the host.
        classes: weights sha256 -> file with the classes (n,) that torch gives the test images.
        emulated: what ran on emulated cores.
        failed: what did not.
        devices: what ran on real devices.
        tried: what became of files on tflite-runtime.
        latencies: artifact sha256 -> {"samples_ns": (rounds, inferences), "details"}.

    Raises:
        ModelError: an artifact's outputs are constant or not finite.
    """
    host = {each.artifact.name: read_outputs(each, outputs[each.artifact.sha256], SPLIT) for each in exported}
    result = [*_torch(run, trained, classes)]
    for each in host.values():
        result += measure_file(each.exported)
        result += score(each.predictions, run.task.test.labels)
        teacher = _teacher_of(host, each)
        if teacher is not each:
            result.append(score_drop(each.predictions, teacher.predictions, run.task.test.labels))
        result += _against_source(each, host) if each.exported.source else _against_torch(each)
        if each.exported.artifact.sha256 in latencies:
            result.append(_latency(each, teacher, latencies))
    result += compare_formats(list(host.values()))
    for emulation in emulated:
        result += measure_emulated(run, emulation, host[emulation.exported.artifact.name].logits)
        result.append(measure_runs(emulation.exported, emulation.core, emulation.counts["runtime"]))
    result += [measure_runs(each.exported, each.core, each.exported.runtime, each.why) for each in failed if each.why]
    for device in devices:
        result += measure_device(run, device, host[device.exported.artifact.name].logits, devices)
    result += [judge_old_runtime(each, host[each.exported.artifact.name].logits) for each in tried]
    return _once(result)


def _once(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Without the repetitions: artifacts that came out as the same bytes are one file, and were measured as each."""
    found = {
        (m.artifact, m.metric, m.runtime, m.target, m.split, m.reference, m.details.get("against")): m
        for m in reversed(measurements)
    }
    return tuple(reversed(found.values()))


def read_outputs(exported: Exported, raw: NDArray[np.generic], split: str) -> OnHost:
    """Raw outputs (n, classes) of a split's images as logits.

    Raises:
        ModelError: they are constant or not finite.
    """
    artifact = exported.artifact
    logits = decode(artifact.outputs[0], raw)
    check_alive(artifact.name, f"host under {exported.runtime}", logits)
    predictions = Predictions(
        artifact=artifact.sha256,
        name=artifact.name,
        runtime=exported.runtime,
        target="host",
        how="native",
        split=split,
        classes=logits.argmax(1),
    )
    return OnHost(exported=exported, logits=logits, predictions=predictions)


def _teacher_of(host: Mapping[str, OnHost], each: OnHost) -> OnHost:
    return next(
        other
        for other in host.values()
        if other.exported.artifact.role == "teacher" and other.exported.artifact.format == each.exported.artifact.format
    )


def _latency(each: OnHost, teacher: OnHost, latencies: Mapping[str, Json]) -> Measurement:
    found = latencies[each.predictions.artifact]
    baseline = None
    if teacher is not each:
        reference = Reference(against="teacher", sha256=teacher.predictions.artifact, name=teacher.predictions.name)
        baseline = Baseline(reference=reference, samples_ns=latencies[reference.sha256]["samples_ns"])
    return latency(
        each.predictions.artifact,
        found["samples_ns"],
        runtime=each.exported.runtime,
        target="host",
        details=found["details"],
        baseline=baseline,
    )


def _torch(run: Run, trained: Sequence[Trained], classes: Mapping[str, Path]) -> list[Measurement]:
    labels = run.task.test.labels
    predictions = [
        Predictions(
            artifact=each.sha256,
            name=f"{each.role}.safetensors",
            runtime=f"torch {version('torch')}",
            target="host",
            how="native",
            split=SPLIT,
            classes=np.load(classes[each.sha256]),
        )
        for each in trained
    ]
    teacher, student, *_ = predictions
    alone = [each for each, model in zip(predictions, trained, strict=True) if model.role == "student_alone"]
    result = [measurement for each in predictions for measurement in score(each, labels)]
    result += [score_drop(each, teacher, labels) for each in predictions[1:]]
    result.append(score_agreement(student, teacher, "teacher"))
    result += [gap for each in alone for gap in score_gap(student, each, teacher, labels)]
    return result


def measure_file(exported: Exported) -> list[Measurement]:
    """What the file itself tells: its size, and what the audit found in its graph."""
    audit = exported.audit
    read = ("parameters", "int8_op_share", "conversions", "transposes")
    values = {metric: audit[metric] for metric in read if metric in audit}
    values["size_bytes"] = exported.artifact.size_bytes
    if "macs" in audit and not audit["unknown_ops"]:  # a lower bound would keep a limit that the model may break
        values["macs"] = audit["macs"]
    return [
        Measurement(
            metric=metric,
            unit=METRICS[metric],
            value=float(value),
            n=1,
            artifact=exported.artifact.sha256,
            runtime="file",
            target="host",
            how="static",
        )
        for metric, value in values.items()
    ]


def _against_torch(each: OnHost) -> tuple[Measurement, ...]:
    artifact, reference = each.exported.artifact, each.exported.reference
    assert artifact.parent is not None
    return compare_logits(
        artifact,
        each.logits[: len(reference)],
        reference,
        reference=Reference(against="torch", sha256=artifact.parent, name="torch"),
        runtime=each.exported.runtime,
        target="host",
        how="native",
        split=SPLIT,
    )


def _against_source(each: OnHost, host: Mapping[str, OnHost]) -> tuple[Measurement, ...]:
    assert each.exported.source is not None
    source = host[each.exported.source.artifact.name]
    reference = Reference(against="source", sha256=source.predictions.artifact, name=source.predictions.name)
    compared = compare_logits(
        each.exported.artifact,
        each.logits,
        source.logits,
        reference=reference,
        runtime=each.exported.runtime,
        target="host",
        how="native",
        split=SPLIT,
    )
    return *compared, score_agreement(each.predictions, source.predictions, "source")


def compare_formats(host: Sequence[OnHost]) -> list[Measurement]:
    """How often the two formats of each graph, which have one name, choose the same class."""
    result = []
    for one, other in combinations([each for each in host if each.exported.source is None], 2):
        a, b = one.exported.artifact, other.exported.artifact
        if PurePath(a.name).stem == PurePath(b.name).stem and a.format != b.format:
            result.append(score_agreement(one.predictions, other.predictions, "other_format"))
            result.append(score_agreement(other.predictions, one.predictions, "other_format"))
    return result
