"""Run every artifact on the host: all test images, and latencies. emulate.py has the cores, devices.py the devices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.measure.machine import machine_facts
from compress.progress import Stage
from compress.recipe import TimingConfig
from compress.stages.context import Run, Step, execute_step
from compress.stages.emulate import CODE
from compress.stages.export import Exported
from compress.targets import Session, decode, encode, open_session
from compress.tasks import Split
from compress.types import Json

RUNTIMES = ("onnxruntime", "ai-edge-litert")


def host_outputs(run: Run, exported: Exported, split: Split) -> NDArray[np.generic]:
    """Raw outputs (n, classes) of all images of a split, on the host."""
    artifact = exported.artifact
    step = Step(
        name="host_outputs",
        title=f"{split.name} {artifact.name} on the host",
        config={"processor": machine_facts()["processor"]},  # its instruction set decides how int8 is computed
        inputs={"artifact": artifact.sha256, "images": split.sha256},
        code=(*CODE, __name__),
        libraries=RUNTIMES,
    )

    def make(folder: Path, _: Stage) -> None:
        with open_session("host", run.home, timeout_s=900) as session:
            outputs = session.run(exported.file, encode(artifact.inputs[0], split.images))
        np.save(folder / "outputs.npy", outputs)

    def summarize(folder: Path) -> str:
        logits = decode(artifact.outputs[0], np.load(folder / "outputs.npy"))
        return f"accuracy {float((logits.argmax(1) == split.labels).mean()):.4f}"

    return np.load(execute_step(run, step, make, summarize).path / "outputs.npy")


def time_on_host(run: Run, exported: Sequence[Exported]) -> dict[str, Json]:
    """Latency samples of every file, in rounds that take turns, so that drift of the machine meets all alike.

    Artifacts that came out as the same bytes (a student that is its teacher, in float32) are one file.

    Returns:
        artifact sha256 -> {"samples_ns": one list a round, "details": threads, warm-up and machine}.
    """
    config = run.recipe.benchmark.host
    if config is None:
        return {}
    facts = machine_facts()
    native = [each for each in exported if each.artifact.format != "ort"]  # which is optimised for ARM64
    files = {each.artifact.sha256: each for each in reversed(native)}  # of equal ones the first, the teacher's
    step = Step(
        name="host_latency",
        title="time on the host",
        config={**config.model_dump(mode="json"), "machine": facts},
        inputs={each.artifact.name: each.artifact.sha256 for each in files.values()},
        code=(*CODE, __name__),
        libraries=RUNTIMES,
    )

    def make(folder: Path, stage: Stage) -> None:
        with open_session("host", run.home) as session:
            samples = time_in_turn(run, session, files, config, stage)
        (folder / "samples.json").write_text(json.dumps(samples))

    raw = json.loads((execute_step(run, step, make).path / "samples.json").read_text())
    return arrange_rounds(raw, config, facts)


def time_in_turn(
    run: Run, session: Session, files: Mapping[str, Exported], config: TimingConfig, stage: Stage
) -> dict[str, list[int]]:
    """Durations in ns of every file, one round after the other.

    Args:
        run: the run.
        session: on a target whose times mean something.
        files: artifact sha256 -> file.
        config: how often.
        stage: is told the rounds.
    """
    samples: dict[str, list[int]] = {sha256: [] for sha256 in files}
    for done in range(config.rounds):
        stage.advance(done, config.rounds, "rounds, all artifacts in turn")
        for sha256, each in files.items():
            sample = encode(each.artifact.inputs[0], run.task.test.images[:1])
            samples[sha256] += session.time(
                each.file, sample, warmup=config.warmup, n=config.inferences, threads=config.threads
            )
    return samples


def arrange_rounds(samples_ns: Mapping[str, list[int]], config: TimingConfig, machine: Json) -> dict[str, Json]:
    """What `time_in_turn` took, as `time_on_host` returns it."""
    details = {"threads": config.threads, "warmup": config.warmup, "machine": machine}
    return {
        sha256: {"samples_ns": np.reshape(samples, (config.rounds, config.inferences)).tolist(), "details": details}
        for sha256, samples in samples_ns.items()
    }
