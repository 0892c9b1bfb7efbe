"""Run every artifact: all test images on the host, a stated subset and exact counts on each emulated core."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.errors import ModelError
from compress.measure.machine import machine_facts
from compress.progress import Stage
from compress.recipe import Arm64Config
from compress.stages.context import Run, Step, execute_step
from compress.stages.export import Exported
from compress.targets import Session, arm64, decode, encode, open_session
from compress.types import Json

CODE = ("compress.runtimes", "compress.targets")
RUNTIMES = ("onnxruntime", "ai-edge-litert")
EMULATED_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Emulated:
    """One artifact on one emulated core.

    outputs: raw outputs (n, classes) for the first n test images, in the file's stored type.
    counts: instructions, executed_macs, by_class, repeats.
    """

    core: str
    exported: Exported
    outputs: NDArray[np.generic]
    counts: Json


def host_outputs(run: Run, exported: Exported) -> NDArray[np.generic]:
    """Raw outputs (n, classes) of all test images, on the host."""
    artifact = exported.artifact
    step = Step(
        name="host_outputs",
        title=f"test {artifact.name} on the host",
        config={"processor": machine_facts()["processor"]},  # its instruction set decides how int8 is computed
        inputs={"artifact": artifact.sha256, "test": run.task.test.sha256},
        code=CODE,
        libraries=RUNTIMES,
    )

    def make(folder: Path, _: Stage) -> None:
        with open_session("host", run.home, timeout_s=900) as session:
            outputs = session.run(exported.file, encode(artifact.inputs[0], run.task.test.images))
        np.save(folder / "outputs.npy", outputs)

    def summarize(folder: Path) -> str:
        logits = decode(artifact.outputs[0], np.load(folder / "outputs.npy"))
        return f"accuracy {float((logits.argmax(1) == run.task.test.labels).mean()):.4f}"

    return np.load(execute_step(run, step, make, summarize).path / "outputs.npy")


def emulate(
    run: Run, config: Arm64Config, exported: Sequence[Exported]
) -> tuple[tuple[Emulated, ...], tuple[str, ...]]:
    """Outputs and counts of every artifact on every core; a core's worker starts once, and only if it is needed.

    Returns:
        What was measured, and one sentence for each artifact that died on a core (for want of an instruction, say): it
        has no measurement there, and its budgets are MISSING.
    """
    failures: list[str] = []
    opened: dict[str, Session] = {}
    stopped = threading.Event()

    def on_core(core: str) -> list[Emulated]:
        with ExitStack() as stack:

            def session() -> Session:
                if core not in opened:
                    opened[core] = stack.enter_context(open_session(core, run.home, timeout_s=600))
                return opened[core]

            done = []
            for each in exported:
                if stopped.is_set():
                    break
                try:
                    done.append(_emulate_one(run, config, core, each, session))
                except ModelError as error:
                    failures.append(str(error))
            return done

    with ThreadPoolExecutor(EMULATED_AT_ONCE) as pool:
        try:
            results = tuple(result for results in pool.map(on_core, config.cores) for result in results)
        except BaseException:  # Ctrl-C above all: end what runs in the other threads, or the pool waits for it
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for each in list(opened.values()):
                each.close()
            raise
    return results, tuple(sorted(failures))


def _emulate_one(
    run: Run, config: Arm64Config, core: str, exported: Exported, session: Callable[[], Session]
) -> Emulated:
    artifact = exported.artifact
    images = config.images if artifact.precision == "static_int8" else config.float_images
    step = Step(
        name="emulate",
        title=f"{core}: {artifact.name}",
        config={"core": core, "images": images},
        inputs={"artifact": artifact.sha256, "test": run.task.test.sha256, "installation": arm64.fingerprint(run.home)},
        code=CODE,
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        inputs = encode(artifact.inputs[0], run.task.test.images[:images])
        np.save(folder / "outputs.npy", session().run(exported.file, inputs))
        counts = session().count(exported.file, inputs[:1])
        (folder / "counts.json").write_text(
            json.dumps(
                {
                    "runtime": session().describe(exported.file).runtime,
                    "instructions": counts.instructions,
                    "executed_macs": counts.executed_macs,
                    "by_class": dict(counts.by_class),
                    "repeats": list(counts.repeats),
                }
            )
        )

    def summarize(folder: Path) -> str:
        return f"{json.loads((folder / 'counts.json').read_text())['instructions']:,} instructions"

    folder = execute_step(run, step, make, summarize).path
    return Emulated(
        core=core,
        exported=exported,
        outputs=np.load(folder / "outputs.npy"),
        counts=json.loads((folder / "counts.json").read_text()),
    )


def time_on_host(run: Run, exported: Sequence[Exported]) -> dict[str, Json]:
    """Latency samples of every artifact, in rounds that take turns, so that drift of the machine meets all alike.

    Returns:
        artifact sha256 -> {"samples_ns": [...], "facts": {...}}.
    """
    config = run.recipe.benchmark.host
    if config is None:
        return {}
    facts = machine_facts()
    step = Step(
        name="host_latency",
        title="time on the host",
        config={**config.model_dump(mode="json"), "machine": facts},
        inputs={each.artifact.name: each.artifact.sha256 for each in exported},
        code=CODE,
        libraries=RUNTIMES,
    )

    def make(folder: Path, stage: Stage) -> None:
        samples: dict[str, list[int]] = {each.artifact.sha256: [] for each in exported}
        with open_session("host", run.home) as session:
            for done in range(config.rounds):
                stage.advance(done, config.rounds, "rounds, all artifacts in turn")
                for each in exported:
                    sample = encode(each.artifact.inputs[0], run.task.test.images[:1])
                    samples[each.artifact.sha256] += session.time(
                        each.file, sample, warmup=config.warmup, n=config.inferences, threads=config.threads
                    )
        (folder / "samples.json").write_text(json.dumps(samples))

    raw = json.loads((execute_step(run, step, make).path / "samples.json").read_text())
    details = {"threads": config.threads, "warmup": config.warmup, "rounds": config.rounds, "machine": facts}
    return {sha256: {"samples_ns": samples, "details": details} for sha256, samples in raw.items()}
