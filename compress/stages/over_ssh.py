"""Run every artifact on a device over ssh: outputs for some test images, and latencies as on the host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.errors import ConnectionLost, ModelError, ToolError
from compress.measure.fidelity import check_alive
from compress.progress import Stage
from compress.recipe import DeviceConfig
from compress.stages.context import Run, Step, execute_step
from compress.stages.emulate import CODE
from compress.stages.evaluate import arrange_rounds, time_in_turn
from compress.stages.export import Exported
from compress.stages.on_device import OnDevice
from compress.targets import decode, encode
from compress.targets.files import choose_runtime
from compress.targets.ssh import SshDevice, SshSession, open_device
from compress.types import Json


def measure_over_ssh(run: Run, config: DeviceConfig, exported: Sequence[Exported]) -> tuple[list[OnDevice], list[str]]:
    """Outputs and latencies of every artifact on one device.

    Returns:
        What was measured, and one sentence for each artifact or runtime that was not, or is not the host's.

    Raises:
        ToolError: the device is not reached, or was lost (ConnectionLost).
        ModelError: an artifact that ran there did not while it was timed.
    """
    assert config.ssh is not None
    device = SshDevice(
        name=config.name, destination=config.ssh, python=config.python, port=config.port, timeout_s=config.timeout_s
    )
    outputs: dict[str, NDArray[np.generic]] = {}
    notes: list[str] = []
    with open_device(device) as session:
        for each in exported:
            try:
                raw = _run_there(run, config, session, each)
                where = f"{config.name} under {session.runtimes[choose_runtime(each.file)]}"
                check_alive(each.artifact.name, where, decode(each.artifact.outputs[0], raw))
                outputs[each.artifact.sha256] = raw
            except ConnectionLost:
                raise
            except (ModelError, ToolError) as error:  # this file, or its runtime there; the others may do
                notes.append(f"{error}. Its budgets on {config.name} are MISSING.")
        ran = [each for each in exported if each.artifact.sha256 in outputs]
        notes += _note_versions(config.name, session, ran)
        latencies = _time_there(run, config, session, ran) if ran else {}
        found = [
            OnDevice(
                device=config.name,
                exported=each,
                runtime=session.runtimes[choose_runtime(each.file)],
                outputs=outputs[each.artifact.sha256],
                samples_ns=latencies[each.artifact.sha256]["samples_ns"],
                inferences=(config.inferences,) * config.rounds,
                details=latencies[each.artifact.sha256]["details"],
            )
            for each in ran
        ]
    return found, list(dict.fromkeys(notes))


def _run_there(run: Run, config: DeviceConfig, session: SshSession, exported: Exported) -> NDArray[np.generic]:
    """Raw outputs of the first test images."""
    artifact = exported.artifact
    images = min(config.images, len(run.task.test))
    runtime = session.runtimes.get(choose_runtime(exported.file)) or session.describe(exported.file).runtime
    step = Step(
        name="device_outputs",
        title=f"{config.name}: {artifact.name}",
        config={
            "ssh": config.ssh,
            "port": config.port,
            "machine": session.machine,
            "runtime": runtime,
            "images": images,
        },
        inputs={"artifact": artifact.sha256, "test": run.task.test.sha256},
        code=(*CODE, __name__),
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        inputs = encode(artifact.inputs[0], run.task.test.images[:images])
        np.save(folder / "outputs.npy", session.run(exported.file, inputs))

    return np.load(execute_step(run, step, make).path / "outputs.npy")


def _time_there(run: Run, config: DeviceConfig, session: SshSession, exported: Sequence[Exported]) -> dict[str, Json]:
    files = {each.artifact.sha256: each for each in reversed(exported)}  # of equal ones the first, the teacher's
    timing = config.model_dump(mode="json", include={"ssh", "port", "warmup", "inferences", "rounds", "threads"})
    step = Step(
        name="device_latency",
        title=f"time on {config.name}",
        config={**timing, "machine": session.machine, "runtimes": session.runtimes},
        inputs={each.artifact.name: each.artifact.sha256 for each in files.values()},
        code=(*CODE, "compress.stages.evaluate", __name__),
        libraries=(),
    )

    def make(folder: Path, stage: Stage) -> None:
        samples = time_in_turn(run, session, files, config, stage)
        (folder / "samples.json").write_text(json.dumps(samples))

    raw = json.loads((execute_step(run, step, make).path / "samples.json").read_text())
    return arrange_rounds(raw, config, session.machine)


def _note_versions(name: str, session: SshSession, ran: Sequence[Exported]) -> list[str]:
    """What runs there in another version than here."""
    pairs = {(session.runtimes[choose_runtime(each.file)], each.runtime) for each in ran}
    return [
        f"{name} has {theirs}, and this host {ours}: what was measured there is of {theirs}, and compared with the "
        f"host's outputs as it is. A budget with a `runtime` accepts that version alone."
        for theirs, ours in sorted(pairs)
        if theirs != ours
    ]
