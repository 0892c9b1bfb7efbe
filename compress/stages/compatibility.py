"""Try every .tflite file on tflite-runtime 2.14, which older apps ship: on the host, and on emulated cores."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.errors import ModelError, ToolError
from compress.measure.machine import machine_facts
from compress.progress import Stage
from compress.stages.context import Run, Step, execute_step
from compress.stages.emulate import CODE, explain_failure, open_on_demand
from compress.stages.export import Exported
from compress.targets import HOST, Session, arm64, encode, tflite_runtime
from compress.targets.tflite_runtime import TfliteRuntime
from compress.types import CALIBRATED, Json

FLOAT_IMAGES = 16
"""On a core, where emulation makes a float inference some hundred times slower."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OnOldRuntime:
    """One file on one target under tflite-runtime.

    images: how many test images it was given.
    outputs: raw (n, classes), in the file's stored type; None where it does not run.
    why: what the runtime said then.
    """

    target: str
    exported: Exported
    images: int
    outputs: NDArray[np.generic] | None
    why: str | None


def try_tflite_runtime(run: Run, exported: Sequence[Exported]) -> tuple[tuple[OnOldRuntime, ...], tuple[str, ...]]:
    """Outputs of every .tflite file on each target of the recipe's `verify.tflite_runtime`.

    Returns:
        What was found, and one sentence for each target or file that was not tried to the end.
    """
    tried: list[OnOldRuntime] = []
    notes: list[str] = []
    for target in run.recipe.verify.tflite_runtime:
        try:
            _try_on(target, run, exported, tried, notes)
        except ToolError as error:
            notes.append(f"{tflite_runtime.NAME} was not tried on {target}: {error}. Its budgets there are MISSING.")
    for note in notes:
        run.progress.note(note)
    return tuple(tried), tuple(notes)


def _try_on(target: str, run: Run, exported: Sequence[Exported], tried: list[OnOldRuntime], notes: list[str]) -> None:
    with run.progress.stage(f"find {tflite_runtime.NAME} for {target}") as stage:
        runtime = tflite_runtime.install(run.home, lambda text: stage.advance(0, 1, text))
        if target != HOST:
            arm64.install(run.home, lambda text: stage.advance(0, 1, text))
    with open_on_demand(target, run.home, timeout_s=900, site=runtime.site(target)) as session:
        for each in exported:
            if each.artifact.format == "tflite":
                try:
                    tried.append(_try_one(run, target, each, runtime, session))
                except ModelError as error:  # it was too slow, or took too much memory
                    notes.append(f"{error}. Whether it is compatible is MISSING.")


def _try_one(
    run: Run, target: str, exported: Exported, runtime: TfliteRuntime, session: Callable[[], Session]
) -> OnOldRuntime:
    artifact = exported.artifact
    images = min(run.recipe.verify.images, len(run.task.test))
    if target != HOST and artifact.precision not in CALIBRATED:
        images = min(images, FLOAT_IMAGES)
    where: dict[str, Json] = {"processor": machine_facts()["processor"]} if target == HOST else {"core": target}
    step = Step(
        name="tflite_runtime",
        title=f"{artifact.name} on {tflite_runtime.NAME}, {target}",
        config={**where, "images": images, "wheels": runtime.folder.name},
        inputs={
            "artifact": artifact.sha256,
            "test": run.task.test.sha256,
            **({} if target == HOST else {"installation": arm64.fingerprint(run.home)}),
        },
        code=(*CODE, "compress.stages.emulate", __name__),
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        why = None
        try:
            outputs = session().run(exported.file, encode(artifact.inputs[0], run.task.test.images[:images]))
            np.save(folder / "outputs.npy", outputs)
        except ModelError as error:
            if (why := explain_failure(target, error)) is None:
                raise
        (folder / "found.json").write_text(json.dumps({"why": why}))

    def summarize(folder: Path) -> str:
        return str(json.loads((folder / "found.json").read_text())["why"] or "runs")

    folder = execute_step(run, step, make, summarize).path
    why = json.loads((folder / "found.json").read_text())["why"]
    outputs = None if why else np.load(folder / "outputs.npy")
    return OnOldRuntime(target=target, exported=exported, images=images, outputs=outputs, why=why)
