"""`scheme: auto`: which scheme that is, found out on the validation split and emulated cores, or taken from the store.

trials.py tries the schemes, choice.py says which is best and why.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.distill.world import ALONE
from compress.errors import ToolError
from compress.measure.machine import machine_facts
from compress.progress import Stage
from compress.recipe import QuantizeConfig
from compress.stages.context import Run, Step, execute_step
from compress.stages.emulate import find_runtimes
from compress.stages.limits import read_limits
from compress.stages.predict import find_phones
from compress.stages.provenance import LIBRARIES
from compress.stages.trained import Trained
from compress.stages.trials import Trials
from compress.stages.tune import Tuned
from compress.targets import arm64
from compress.types import Json

CHOICE = "choice.json"
_ROOMS = (
    "distill",
    "export",
    "gate",
    "measure",
    "quantize",
    "recipe",
    "runtimes",
    "stages",
    "targets",
    "types",
    "units",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Settled:
    """An entry of the recipe about which nothing is open.

    entry: as it stands there; its scheme names the files.
    config: what makes them: the entry itself, or what was chosen for it.
    tuned: the weights, where they were trained for int8.
    """

    entry: QuantizeConfig
    config: QuantizeConfig
    tuned: Tuned | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice(Settled):
    """What became of an entry `auto`.

    trains: whether training for int8 is allowed, and what could still win.
    record: for results.json: what Trials.execute found, and `without_cores`, why nothing was counted.
    """

    trains: bool
    record: Json

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, one sentence each."""
        return tuple(filter(None, (*self.record["conclusions"], self.record["without_cores"])))


def choose_scheme(
    run: Run, entry: QuantizeConfig, teacher: Trained, student: Trained, tuned: Tuned | None = None
) -> Choice:
    """What `auto` is for this student.

    Args:
        run: the run.
        entry: of the recipe.
        teacher: what accuracy is lost against.
        student: trained in float.
        tuned: the student trained on for int8; without it that is not among the schemes.
    """
    trials = Trials(
        run=dataclasses.replace(run, world=ALONE),  # whoever trains with this process waits for the choice alone
        entry=entry,
        teacher=teacher,
        student=student,
        tuned=tuned,
        cores=run.recipe.benchmark.arm64.cores if run.recipe.benchmark.arm64 else (),
        phones=find_phones(run),
        limits=read_limits(run.recipe, entry),
    )
    if not trials.cores and not trials.phones:
        return _choose(run, trials, "auto chose by bytes: the recipe measures no ARM64 core and names no phone.")
    try:
        return _choose(run, trials)
    except ToolError as error:  # one that is not the emulator's comes again
        why = f"auto chose by bytes, for ARM64 was not measured: {error}."
        return _choose(run, dataclasses.replace(trials, cores=(), phones=()), why)


def settle(entries: Sequence[QuantizeConfig], tuned: Sequence[Tuned], choice: Choice | None) -> tuple[Settled, ...]:
    """Every entry of the recipe, with what was trained and chosen for it."""
    weights: dict[str, Tuned] = {each.scheme.precision: each for each in tuned}
    chosen = {choice.entry.scheme: choice} if choice else {}
    return tuple(
        chosen.get(each.scheme) or Settled(entry=each, config=each, tuned=weights.get(each.scheme)) for each in entries
    )


def _choose(run: Run, trials: Trials, without_cores: str = "") -> Choice:
    models = {"teacher": trials.teacher, "student": trials.student}
    inputs = {name: model.sha256 for name, model in models.items()}
    inputs |= {split.name: split.sha256 for split in (run.task.calibration, run.task.validation)}
    if (trials.cores or trials.phones) and run.world.leads:
        find_runtimes(run)
        inputs["installation"] = arm64.fingerprint(run.home)
    if trials.tuned:
        inputs["tuned"] = trials.tuned.sha256
    step = Step(
        name="choose",
        title="choose a scheme for the student",
        config={
            "models": {name: model.describe() for name, model in models.items()},
            "entry": trials.entry.model_dump(mode="json"),
            "formats": list(run.recipe.formats),
            "limits": [dataclasses.asdict(limit) for limit in trials.limits],
            "cores": list(trials.cores),
            "phones": [repr(phone) for phone in trials.phones],
            "processor": machine_facts()["processor"],
        },
        inputs=inputs,
        code=(__name__, *(f"compress.{room}" for room in _ROOMS), *(model.call.module for model in models.values())),
        libraries=(*LIBRARIES, "scipy"),
    )

    def make(folder: Path, _: Stage) -> None:
        (folder / CHOICE).write_text(json.dumps(trials.execute(), allow_nan=False))

    def summarize(folder: Path) -> str:
        return str(json.loads((folder / CHOICE).read_text())["chosen"])

    found = json.loads((execute_step(run, step, make, summarize).path / CHOICE).read_text())
    chosen = next(each for each in found["candidates"] if each["name"] == found["chosen"])
    config = QuantizeConfig.model_validate_json(json.dumps(chosen["config"]))
    return Choice(
        entry=trials.entry,
        config=config,
        tuned=trials.tuned if config.train else None,
        trains=found.pop("trains"),
        record={**found, "without_cores": without_cores},
    )
