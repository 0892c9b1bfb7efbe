"""Predict how long every artifact takes on the recipe's phones, from what their emulated cores execute."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from compress.errors import ModelError, ToolError
from compress.progress import Stage
from compress.stages.context import Run, Step, execute_step
from compress.stages.emulate import CODE, find_runtimes
from compress.stages.export import Exported
from compress.targets import Session, arm64, encode, open_session
from compress.targets.devices import find_device
from compress.targets.latency.calibration import Calibration
from compress.targets.latency.layers import tell_layer
from compress.targets.latency.model import CONFIDENCE, load_rates, predict
from compress.targets.latency.pipelines import PIPELINES
from compress.targets.latency.placement import Placement, place_threads
from compress.targets.latency.work import Work, measure_work
from compress.types import METRICS, Json, Measurement


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Counted:
    runtime: str
    work: Work


def predict_latencies(run: Run, exported: Sequence[Exported]) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    """A latency with an interval for every artifact on every phone.

    Returns:
        What was predicted, and one sentence for each artifact that was not, or for all of them.
    """
    config = run.recipe.benchmark.phones
    if config is None:
        return (), ()
    known = run.recipe.devices
    exported = list({each.artifact.sha256: each for each in reversed(exported)}.values())[::-1]  # equal bytes, one file
    devices = {name: find_device(name, known) for name in config.names}
    phones = {name: place_threads(device, config.threads) for name, device in devices.items()}
    counted: dict[tuple[str, str], _Counted] = {}
    notes: list[str] = []
    for core in dict.fromkeys(placement.core for placement in phones.values()):
        try:
            find_runtimes(run)
            _count_on(run, core, exported, counted, notes)
        except ToolError as error:
            names = ", ".join(name for name, placement in phones.items() if placement.core == core)
            notes.append(f"No latency was predicted for {names}: {error}. Budgets there are MISSING.")
    for note in notes:
        run.progress.note(note)
    measurements = [
        _measure(
            each,
            phone,
            placement,
            devices[phone].find_calibration(config.threads),
            counted[placement.core, each.artifact.sha256],
        )
        for phone, placement in phones.items()
        for each in exported
        if (placement.core, each.artifact.sha256) in counted
    ]
    return tuple(measurements), tuple(notes)


def _count_on(
    run: Run, core: str, exported: Sequence[Exported], counted: dict[tuple[str, str], _Counted], notes: list[str]
) -> None:
    """Add what could be counted on a core, and a sentence for each file that could not; a worker starts if needed."""
    with ExitStack() as stack:
        opened: list[Session] = []

        def session() -> Session:
            if not opened:
                opened.append(stack.enter_context(open_session(core, run.home, timeout_s=600)))
            return opened[0]

        for each in exported:
            try:
                counted[core, each.artifact.sha256] = _count_one(run, core, each, session)
            except ModelError as error:
                notes.append(f"{error}. Its budgets on phones with {core} are MISSING.")


def _count_one(run: Run, core: str, exported: Exported, session: Callable[[], Session]) -> _Counted:
    artifact = exported.artifact
    operators = exported.audit["compute_ops"] + exported.audit["conversions"]
    step = Step(
        name="work",
        title=f"{core}: blocks and caches of {artifact.name}",
        config={"core": core, "operators": operators},
        inputs={"artifact": artifact.sha256, "test": run.task.test.sha256, "installation": arm64.fingerprint(run.home)},
        code=(*CODE, __name__),
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        profile = session().profile(exported.file, encode(artifact.inputs[0], run.task.test.images[:1]))
        runtime = session().describe(exported.file).runtime
        work = measure_work(profile, PIPELINES[core], operators, _name_layers(runtime, run.home))
        (folder / "work.json").write_text(json.dumps({"runtime": runtime, "work": dataclasses.asdict(work)}))

    def summarize(folder: Path) -> str:
        return f"{_read(folder).work.cycles / 1e6:,.3g} million cycles, all data in the first cache"

    return _read(execute_step(run, step, make, summarize).path)


def _name_layers(runtime: str, home: Path) -> Callable[[Sequence[int]], str] | None:
    """By the kernels that LiteRT's library names; ONNX Runtime's names none."""
    if not runtime.startswith("litert"):
        return None
    kernels = arm64.load_kernels(home)
    return lambda words: tell_layer(kernels.find(words))


def _read(folder: Path) -> _Counted:
    content = json.loads((folder / "work.json").read_text())
    work = content["work"]
    return _Counted(runtime=content["runtime"], work=Work(**{**work, "lines": tuple(work["lines"])}))


def _measure(
    exported: Exported, phone: str, placement: Placement, calibration: Calibration | None, counted: _Counted
) -> Measurement:
    prediction = predict(counted.work, placement, counted.runtime, calibration=calibration)
    details: Mapping[str, Json] = {
        "confidence": CONFIDENCE,
        "core": placement.core,
        "ghz": list(placement.ghz),
        "gb_per_s": placement.gb_per_s,
        "threads": len(placement.ghz),
        "parts_ms": dict(prediction.parts),
        "cycles_by_layer": dict(counted.work.by_layer),
        "ratio_spread": load_rates().ratio_spread ** (2 if prediction.warnings else 1),
        "warnings": list(prediction.warnings),
        "calibration": prediction.calibration and prediction.calibration.model_dump(mode="json"),
    }
    return Measurement(
        metric="predicted_latency_ms",
        unit=METRICS["predicted_latency_ms"],
        value=prediction.ms,
        n=1,
        interval=(prediction.low, prediction.high),
        artifact=exported.artifact.sha256,
        runtime=counted.runtime,
        target=phone,
        how="predicted",
        details=details,
    )
