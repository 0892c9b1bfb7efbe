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
from compress.targets.latency.model import CONFIDENCE, load_rates, predict
from compress.targets.latency.pipelines import PIPELINES
from compress.targets.latency.placement import Placement, place_threads
from compress.targets.latency.work import Work, measure_work
from compress.tasks import Split
from compress.types import METRICS, Json, Measurement


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Counted:
    runtime: str
    work: Work


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacedPhone:
    """A phone as the recipe spells it, where its threads run, and what was measured on one, if it was."""

    name: str
    placement: Placement
    calibration: Calibration | None


def predict_latencies(run: Run, exported: Sequence[Exported]) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    """A latency with an interval for every artifact on every phone.

    Returns:
        What was predicted, and one sentence for each artifact that was not, or for all of them.
    """
    phones = find_phones(run)
    exported = list({each.artifact.sha256: each for each in reversed(exported)}.values())[::-1]  # equal bytes, one file
    counted: dict[tuple[str, str], _Counted] = {}
    notes: list[str] = []
    for core in dict.fromkeys(phone.placement.core for phone in phones):
        try:
            find_runtimes(run)
            _count_on(run, core, exported, counted, notes)
        except ToolError as error:
            names = ", ".join(phone.name for phone in phones if phone.placement.core == core)
            notes.append(f"No latency was predicted for {names}: {error}. Budgets there are MISSING.")
    for note in notes:
        run.progress.note(note)
    measurements = [
        _measure(each, phone, counted[phone.placement.core, each.artifact.sha256])
        for phone in phones
        for each in exported
        if (phone.placement.core, each.artifact.sha256) in counted
    ]
    return tuple(measurements), tuple(notes)


def predict_before_test(run: Run, exported: Sequence[Exported], split: Split) -> tuple[Measurement, ...]:
    """The same of an image of another split, and all or nothing.

    Raises:
        ModelError: a file does not run on the core of one of the phones.
        ToolError: such a core cannot be emulated.
    """
    phones = find_phones(run)
    cores = dict.fromkeys(phone.placement.core for phone in phones)
    counted: dict[tuple[str, str], _Counted] = {}
    for core in cores:
        find_runtimes(run)
        with ExitStack() as stack:
            session = _open_once(run, core, stack)
            counted |= {(core, each.artifact.sha256): _count_one(run, core, each, split, session) for each in exported}
    return tuple(
        _measure(each, phone, counted[phone.placement.core, each.artifact.sha256])
        for phone in phones
        for each in exported
    )


def find_phones(run: Run) -> tuple[PlacedPhone, ...]:
    """Those that the recipe names."""
    config = run.recipe.benchmark.phones
    if config is None:
        return ()
    devices = {name: find_device(name, run.recipe.devices) for name in config.names}
    return tuple(
        PlacedPhone(
            name=name,
            placement=place_threads(device, config.threads),
            calibration=device.find_calibration(config.threads),
        )
        for name, device in devices.items()
    )


def _count_on(
    run: Run, core: str, exported: Sequence[Exported], counted: dict[tuple[str, str], _Counted], notes: list[str]
) -> None:
    """Add what could be counted on a core, and a sentence for each file that could not; a worker starts if needed."""
    with ExitStack() as stack:
        session = _open_once(run, core, stack)
        for each in exported:
            try:
                counted[core, each.artifact.sha256] = _count_one(run, core, each, run.task.test, session)
            except ModelError as error:
                notes.append(f"{error}. Its budgets on phones with {core} are MISSING.")


def _open_once(run: Run, core: str, stack: ExitStack) -> Callable[[], Session]:
    opened: list[Session] = []

    def session() -> Session:
        if not opened:
            opened.append(stack.enter_context(open_session(core, run.home, timeout_s=600)))
        return opened[0]

    return session


def _count_one(run: Run, core: str, exported: Exported, split: Split, session: Callable[[], Session]) -> _Counted:
    artifact = exported.artifact
    operators = exported.audit["compute_ops"] + exported.audit["conversions"]
    step = Step(
        name="work",
        title=f"{core}: blocks and caches of {artifact.name}",
        config={"core": core, "operators": operators},
        inputs={"artifact": artifact.sha256, "images": split.sha256, "installation": arm64.fingerprint(run.home)},
        code=(*CODE, __name__),
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        profile = session().profile(exported.file, encode(artifact.inputs[0], split.images[:1]))
        work = measure_work(profile, PIPELINES[core], operators)
        runtime = session().describe(exported.file).runtime
        (folder / "work.json").write_text(json.dumps({"runtime": runtime, "work": dataclasses.asdict(work)}))

    def summarize(folder: Path) -> str:
        return f"{_read(folder).work.cycles / 1e6:,.3g} million cycles, all data in the first cache"

    return _read(execute_step(run, step, make, summarize).path)


def _read(folder: Path) -> _Counted:
    content = json.loads((folder / "work.json").read_text())
    work = content["work"]
    return _Counted(runtime=content["runtime"], work=Work(**{**work, "lines": tuple(work["lines"])}))


def _measure(exported: Exported, phone: PlacedPhone, counted: _Counted) -> Measurement:
    placement = phone.placement
    prediction = predict(counted.work, placement, counted.runtime, calibration=phone.calibration)
    details: Mapping[str, Json] = {
        "confidence": CONFIDENCE,
        "core": placement.core,
        "ghz": list(placement.ghz),
        "gb_per_s": placement.gb_per_s,
        "threads": len(placement.ghz),
        "parts_ms": dict(prediction.parts),
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
        target=phone.name,
        how="predicted",
        details=details,
    )
