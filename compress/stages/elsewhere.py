"""Measurements of what ran elsewhere than on the host: on emulated cores, on real devices, on an older runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compress.measure.accuracy import Predictions, score
from compress.measure.comparison import Reference
from compress.measure.compatibility import measure_compatibility
from compress.measure.fidelity import check_alive, compare_logits
from compress.measure.latency import Baseline, counts, latency, tool_latency
from compress.stages.compatibility import OnOldRuntime
from compress.stages.context import Run
from compress.stages.emulate import Counted, Emulated
from compress.stages.export import Exported
from compress.stages.on_device import OnDevice
from compress.targets import HOST, decode, tflite_runtime
from compress.types import METRICS, How, Measurement

SPLIT = "test"


def measure_emulated(run: Run, emulation: Emulated, host_logits: NDArray[np.float32]) -> list[Measurement]:
    """Accuracy, agreement with the host and counts of one artifact on one core."""
    exported, core, runtime = emulation.exported, emulation.core, emulation.counts["runtime"]
    result = _measure_outputs(run, exported, emulation.outputs, host_logits, runtime, core, "emulated")
    return [*result, *measure_counts(emulation)]


def measure_counts(counted: Emulated | Counted) -> tuple[Measurement, ...]:
    """What one inference of one artifact executes on one core."""
    facts = counted.counts
    return counts(
        counted.exported.artifact.sha256,
        instructions=facts["instructions"],
        executed_macs=facts["executed_macs"],
        by_class=facts["by_class"],
        repeats=facts["repeats"],
        runtime=facts["runtime"],
        target=counted.core,
    )


def measure_runs(exported: Exported, core: str, runtime: str, why_not: str | None = None) -> Measurement:
    """Whether an artifact runs on an emulated core at all."""
    return Measurement(
        metric="runs",
        unit=METRICS["runs"],
        value=float(why_not is None),
        n=1,
        artifact=exported.artifact.sha256,
        runtime=runtime,
        target=core,
        how="emulated",
        details={} if why_not is None else {"why": why_not},
    )


def measure_device(
    run: Run, found: OnDevice, host_logits: NDArray[np.float32], devices: Sequence[OnDevice]
) -> list[Measurement]:
    """Latency of one artifact on one device; where it gives outputs, accuracy and agreement with the host too.

    Args:
        run: the run.
        found: what ran there.
        host_logits: (n, classes), of all test images.
        devices: all that ran on devices, the teacher too.
    """
    result = []
    if found.outputs is not None:
        result += _measure_outputs(
            run, found.exported, found.outputs, host_logits, found.runtime, found.device, "native"
        )
    result.append(_measure_latency(found, _teacher_there(found, devices)))
    return result


def _measure_latency(found: OnDevice, teacher: OnDevice | None) -> Measurement:
    sha256 = found.exported.artifact.sha256
    baseline = None
    if teacher is not None and teacher.exported.artifact.sha256 != sha256:
        artifact = teacher.exported.artifact
        reference = Reference(against="teacher", sha256=artifact.sha256, name=artifact.name)
        baseline = Baseline(reference=reference, samples_ns=teacher.samples_ns)
    if found.outputs is None:
        return tool_latency(
            sha256,
            found.samples_ns,
            found.inferences,
            runtime=found.runtime,
            target=found.device,
            details=found.details,
            baseline=baseline,
        )
    return latency(
        sha256,
        found.samples_ns,
        runtime=found.runtime,
        target=found.device,
        details=found.details,
        baseline=baseline,
    )


def _teacher_there(found: OnDevice, devices: Sequence[OnDevice]) -> OnDevice | None:
    """The teacher in the same format on the same device; None where it did not run."""

    def kind(one: OnDevice) -> tuple[str, str, str]:
        return one.device, one.runtime, one.exported.artifact.format

    return next(
        (each for each in devices if each.exported.artifact.role == "teacher" and kind(each) == kind(found)), None
    )


def judge_old_runtime(tried: OnOldRuntime, host_logits: NDArray[np.float32]) -> Measurement:
    """Whether tflite-runtime computes what LiteRT does on the host."""
    artifact = tried.exported.artifact
    return measure_compatibility(
        artifact,
        None if tried.outputs is None else decode(artifact.outputs[0], tried.outputs),
        host_logits[: tried.images],
        why=tried.why,
        runtime=tflite_runtime.NAME,
        target=tried.target,
        how="native" if tried.target == HOST else "emulated",
        split=SPLIT,
    )


def _measure_outputs(
    run: Run,
    exported: Exported,
    outputs: NDArray[np.generic],
    host_logits: NDArray[np.float32],
    runtime: str,
    target: str,
    how: How,
) -> list[Measurement]:
    artifact = exported.artifact
    logits = decode(artifact.outputs[0], outputs)
    check_alive(artifact.name, f"{target} under {runtime}", logits)
    predictions = Predictions(
        artifact=artifact.sha256,
        name=artifact.name,
        runtime=runtime,
        target=target,
        how=how,
        split=SPLIT,
        classes=logits.argmax(1),
    )
    result = [*score(predictions, run.task.test.labels[: len(logits)])]
    result += compare_logits(
        artifact,
        logits,
        host_logits[: len(logits)],
        reference=Reference(against="host", sha256=artifact.sha256, name="host"),
        runtime=runtime,
        target=target,
        how=how,
        split=SPLIT,
    )
    return result
