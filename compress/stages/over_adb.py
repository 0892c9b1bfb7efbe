"""Time every .tflite file on a phone over adb, by LiteRT's own program there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from compress.errors import ModelError, RecipeError, ToolError
from compress.progress import Stage
from compress.recipe import DeviceConfig
from compress.stages.context import Run, Step, execute_step
from compress.stages.emulate import CODE
from compress.stages.export import Exported
from compress.stages.on_device import OnDevice
from compress.targets.adb import AdbDevice, Phone
from compress.targets.benchmark_model import hash_tool
from compress.types import Json


def measure_over_adb(run: Run, config: DeviceConfig, exported: Sequence[Exported]) -> tuple[list[OnDevice], list[str]]:
    """Latencies on one phone, in rounds that take turns, one run of the program each.

    Returns:
        What was measured, and one sentence for each file that the program does not run.

    Raises:
        ToolError: the phone is not reached, or was lost (ConnectionLost), or the program is not what it should be.
    """
    assert config.adb is not None
    device = AdbDevice(
        name=config.name,
        serial=config.adb,
        benchmark_model=_find_tool(run, config),
        timeout_s=config.timeout_s,
    )
    timed = [each for each in exported if each.artifact.format == "tflite"]
    if not timed:
        return [], [f"{config.name} runs .tflite files, and this run made none. Budgets on {config.name} are MISSING."]
    notes, ran = [], []
    with Phone(device) as phone:
        for each in timed:
            try:
                _try_there(run, config, phone, each)
                ran.append(each)
            except ModelError as error:
                notes.append(f"{error}. Its budgets on {config.name} are MISSING.")
        rounds = _time_there(run, config, phone, {each.artifact.sha256: each for each in reversed(ran)})
    return [_collect(config, phone, each, rounds[each.artifact.sha256]) for each in ran], notes


def check_tools(run: Run) -> None:
    """Refuse a program for a phone that is none, before anything trains.

    Raises:
        RecipeError: see `hash_tool`.
    """
    for index, config in enumerate(run.recipe.benchmark.devices or ()):
        if config.adb is not None:
            try:
                hash_tool(config.name, _find_tool(run, config))
            except ToolError as error:
                raise RecipeError(f"{run.recipe.where('benchmark', 'devices', index)}: {error}") from error


def _find_tool(run: Run, config: DeviceConfig) -> Path:
    assert config.benchmark_model is not None  # the recipe's rules
    return run.recipe.path.parent / config.benchmark_model


def _try_there(run: Run, config: DeviceConfig, phone: Phone, exported: Exported) -> None:
    """One inference, so that a file that the program cannot run costs no other its figures."""
    step = Step(
        name="phone_trial",
        title=f"{config.name}: {exported.artifact.name}",
        config={"adb": config.adb, "machine": phone.machine, "runtime": phone.runtime},
        inputs={"artifact": exported.artifact.sha256},
        code=(*CODE, __name__),
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        found = phone.benchmark(exported.file, threads=1, warmup=0, inferences=1)
        (folder / "trial.json").write_text(json.dumps(dataclasses.asdict(found)))

    execute_step(run, step, make)


def _time_there(run: Run, config: DeviceConfig, phone: Phone, files: Mapping[str, Exported]) -> dict[str, list[Json]]:
    """Artifact sha256 -> what the program told in each round."""
    timing = config.model_dump(mode="json", include={"adb", "warmup", "inferences", "rounds", "threads", "timeout_s"})
    step = Step(
        name="phone_latency",
        title=f"time on {config.name}",
        config={**timing, "machine": phone.machine, "runtime": phone.runtime},
        inputs={each.artifact.name: each.artifact.sha256 for each in files.values()},
        code=(*CODE, __name__),
        libraries=(),
    )

    def make(folder: Path, stage: Stage) -> None:
        told: dict[str, list[Json]] = {sha256: [] for sha256 in files}
        for done in range(config.rounds):
            stage.advance(done, config.rounds, "rounds, all files in turn")
            for sha256, each in files.items():
                found = phone.benchmark(
                    each.file, threads=config.threads, warmup=config.warmup, inferences=config.inferences
                )
                told[sha256].append(dataclasses.asdict(found))
        (folder / "rounds.json").write_text(json.dumps(told))

    return json.loads((execute_step(run, step, make).path / "rounds.json").read_text())


def _collect(config: DeviceConfig, phone: Phone, exported: Exported, rounds: Sequence[Json]) -> OnDevice:
    return OnDevice(
        device=config.name,
        exported=exported,
        runtime=phone.runtime,
        outputs=None,
        samples_ns=[[told["mean_ms"] * 1e6] for told in rounds],
        inferences=tuple(told["inferences"] for told in rounds),
        details={"threads": config.threads, "warmup": config.warmup, "machine": phone.machine, "tool": list(rounds)},
    )
