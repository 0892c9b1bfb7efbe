"""Predict how long every artifact takes on the recipe's phones, from what their emulated cores execute."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from compress.errors import ModelError, ToolError
from compress.progress import Stage
from compress.stages.context import Run, Step, execute_step
from compress.stages.emulate import find_runtimes, open_on_demand
from compress.stages.export import Exported
from compress.targets import Session, arm64, encode
from compress.targets.answers import Profile, read_profile
from compress.targets.cores import CORES
from compress.targets.devices import find_device
from compress.targets.latency.calibration import Calibration
from compress.targets.latency.layers import tell_layer
from compress.targets.latency.model import predict
from compress.targets.latency.pipelines import PIPELINES
from compress.targets.latency.placement import Placement, place_threads
from compress.targets.latency.work import Work, measure_work
from compress.tasks import Split
from compress.types import METRICS, Json, Measurement

CODE = (
    "compress.runtimes",
    "compress.stages.emulate",
    "compress.targets.answers",
    "compress.targets.arm64",
    "compress.targets.files",
    "compress.targets.place",
    "compress.targets.session",
    "compress.targets.tensors",
    "compress.targets.worker_process",
)
"""What makes a profile: not the model of latency, whose new rates and pipelines must not cost a new emulation."""
PROFILE = "profile.json"
_Key = tuple[str, int, str]


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
    counted: dict[_Key, _Counted] = {}
    notes: list[str] = []
    for core in dict.fromkeys(phone.placement.core for phone in phones):
        alike = {phone.name: phone.placement for phone in phones if phone.placement.core == core}
        try:
            find_runtimes(run)
            _count_on(run, core, tuple(alike.values()), exported, counted, notes)
        except ToolError as error:
            notes.append(f"No latency was predicted for {', '.join(alike)}: {error}. Budgets there are MISSING.")
    notes = list(dict.fromkeys(notes))
    for note in notes:
        run.progress.note(note)
    measurements = [
        _measure(each, phone, counted[_key(phone.placement, each)])
        for phone in phones
        for each in exported
        if _key(phone.placement, each) in counted
    ]
    return tuple(measurements), tuple(notes)


def predict_before_test(run: Run, exported: Sequence[Exported], split: Split) -> tuple[Measurement, ...]:
    """The same of an image of another split, and all or nothing.

    Raises:
        ModelError: a file does not run on the core of one of the phones.
        ToolError: such a core cannot be emulated.
    """
    found = []
    find_runtimes(run)
    for phone in find_phones(run):
        with open_on_demand(phone.placement.core, run.home, timeout_s=600) as session:
            found += [
                _measure(each, phone, _count_one(run, phone.placement, each, split, session)) for each in exported
            ]
    return tuple(found)


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


def _key(placement: Placement, exported: Exported) -> _Key:
    """What tells the counts of one run apart: it has one number of threads."""
    return placement.core, placement.shared_cache_kib, exported.artifact.sha256


def _count_on(
    run: Run,
    core: str,
    places: Sequence[Placement],
    exported: Sequence[Exported],
    counted: dict[_Key, _Counted],
    notes: list[str],
) -> None:
    """Add what could be counted on a core, and a sentence for each file that could not."""
    with open_on_demand(core, run.home, timeout_s=600) as session:
        distinct = {_key(place, each): (place, each) for place in places for each in exported}
        for key, (place, each) in distinct.items():
            try:
                counted[key] = _count_one(run, place, each, run.task.test, session)
            except ModelError as error:
                notes.append(f"{error}. Its budgets on phones with {core} are MISSING.")


def _count_one(
    run: Run, place: Placement, exported: Exported, split: Split, session: Callable[[], Session]
) -> _Counted:
    artifact, core, threads = exported.artifact, CORES[place.core], len(place.ghz)
    step = Step(
        name="profile",
        title=f"{core.name}: blocks and caches of {artifact.name}",
        config={"core": core.name, "caches": [core.l1d_kib, core.l2_kib, place.shared_cache_kib], "threads": threads},
        inputs={"artifact": artifact.sha256, "images": split.sha256, "installation": arm64.fingerprint(run.home)},
        code=(*CODE, __name__),
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        sample = encode(artifact.inputs[0], split.images[:1])
        shared = place.shared_cache_kib
        profile = session().profile(exported.file, sample, shared_cache_kib=shared, threads=threads)
        runtime = session().describe(exported.file).runtime
        (folder / PROFILE).write_text(json.dumps({"runtime": runtime, "profile": dataclasses.asdict(profile)}))

    def summarize(folder: Path) -> str:
        instructions = sum(block.executions * len(block.words) for block in _read(folder)[1].blocks)
        return f"{instructions / 1e6:,.3g} million instructions"

    runtime, profile = _read(execute_step(run, step, make, summarize).path)
    operators = exported.audit["compute_ops"] + exported.audit["conversions"]
    return _Counted(
        runtime=runtime, work=measure_work(profile, PIPELINES[core.name], operators, _name_layers(runtime, run.home))
    )


def _read(folder: Path) -> tuple[str, Profile]:
    content = json.loads((folder / PROFILE).read_text())
    return content["runtime"], read_profile(content["profile"])


def _name_layers(runtime: str, home: Path) -> Callable[[Sequence[int]], str] | None:
    """By the kernels that LiteRT's library names; ONNX Runtime's names none."""
    if not runtime.startswith("litert"):
        return None
    kernels = arm64.load_kernels(home)
    return lambda words: tell_layer(kernels.find(words))


def _measure(exported: Exported, phone: PlacedPhone, counted: _Counted) -> Measurement:
    placement = phone.placement
    prediction = predict(counted.work, placement, counted.runtime, calibration=phone.calibration)
    details: Mapping[str, Json] = {
        "confidence": prediction.confidence,
        "core": placement.core,
        "ghz": list(placement.ghz),
        "shared_cache_kib": placement.shared_cache_kib,
        "gb_per_s": placement.gb_per_s,
        "gb_per_s_range": placement.gb_per_s_range and list(placement.gb_per_s_range),
        "threads": len(placement.ghz),
        "parts_ms": dict(prediction.parts),
        "cases_ms": list(prediction.cases_ms),
        "ratio_spread": prediction.ratio_spread,
        "cycles_by_layer": dict(counted.work.by_layer),
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
