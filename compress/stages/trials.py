"""Try schemes on the student, from cheap to costly: accuracy on the validation split, bytes, instructions, limits.

Every scheme goes through the stages of one that a recipe names, so each is made and measured once, a killed run goes
on, and what is chosen is there already. The gate judges the recipe's budgets, on validation images in place of test
images. What those cannot tell (latencies, devices, outputs on a core) is left to the verdict of the run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from compress.errors import ModelError, ToolError
from compress.gate import judge
from compress.measure.accuracy import score, score_drop
from compress.quantize import Float32, Scheme
from compress.recipe import QuantizeConfig, Recipe, artifact_name
from compress.recipe.choice_rules import limits_accuracy
from compress.stages.choice import ACCURACY, SCHEMES, Tried, conclude, find_reason_to_skip, give_reason, pick
from compress.stages.context import Run
from compress.stages.elsewhere import measure_counts
from compress.stages.emulate import Counted, FailedOnCore, count, explain_failure
from compress.stages.evaluate import host_outputs
from compress.stages.export import Exported, export_model
from compress.stages.measurements import OnHost, compare_formats, measure_file, read_outputs
from compress.stages.schemes import read_scheme
from compress.stages.trained import Trained
from compress.stages.tune import Tuned
from compress.types import METRICS, Budget, Json, Measurement, Verdict
from compress.units import decimals, exact

_COUNTED = ("instructions", "executed_macs")
_OF_FILES = ("size_bytes", "parameters", "macs", "int8_op_share", "conversions", "transposes")
_TRAINS_LAST = "it trains the student on, after all others were tried"
_MAY_NOT_TRAIN = "it would train the student on, which this entry does not allow; add train to it"


def read_limits(recipe: Recipe, entry: QuantizeConfig) -> tuple[Budget, ...]:
    """The recipe's budgets on the entry's files, of those that can be judged before the test, and the entry's own."""
    names = [artifact_name("student", entry.scheme, each) for each in recipe.formats]
    limits = [
        dataclasses.replace(budget, line=None)
        for budget in recipe.budgets
        if budget.metric in (*ACCURACY, *_OF_FILES, *_COUNTED) and any(fnmatchcase(n, budget.artifact) for n in names)
    ]
    if entry.accuracy_drop is not None:
        limits += [Budget(metric="accuracy_drop", artifact=name, at_most=entry.accuracy_drop) for name in names]
    return tuple(limits)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measured:
    """The files of one scheme, one a format, and what is known of them."""

    exported: tuple[Exported, ...]
    host: tuple[OnHost, ...]
    counted: tuple[Counted, ...] = ()
    failed: tuple[FailedOnCore, ...] = ()
    measurements: tuple[Measurement, ...]


class _Known(NamedTuple):
    """What every scheme is held against."""

    teacher: _Measured
    float32: _Measured


@dataclass(frozen=True, kw_only=True, eq=False)
class Trials:
    """What it takes to try schemes.

    entry: of the recipe, with scheme `auto`.
    teacher: what accuracy is lost against.
    student: trained in float.
    tuned: the student trained on for int8, if it was.
    cores: that count instructions.
    limits: that the files must keep.
    """

    run: Run
    entry: QuantizeConfig
    teacher: Trained
    student: Trained
    tuned: Tuned | None
    cores: tuple[str, ...]
    limits: tuple[Budget, ...]

    def execute(self) -> Json:
        """Try what can still win, and choose.

        Returns:
            JSON-able: `chosen`, a name; `trains`, whether training for int8 comes next; `conclusions`, in sentences;
            `images`, of the validation split; `limits`; `candidates`, each a compress.stages.choice.Tried with
            `verdict` and `reason`.

        Raises:
            ModelError: the student cannot be exported or run in float32.
            ToolError: a core cannot be emulated, or this machine was too slow for a file there.
        """
        relative = any(limit.relative_to and limit.metric in _COUNTED for limit in self.limits)
        teacher = self._measure(self._export(self.teacher, Float32()), self.cores if relative else ())
        float32 = self._measure(self._export(self.student, Float32()), self.cores, teacher)
        known = _Known(teacher, float32)
        tried: list[Tried] = []
        for name in SCHEMES:
            tried.append(self._try(name, tried, known))
        chosen = pick(tried)
        *_, last = tried
        return {
            "chosen": chosen.name,
            "trains": last.left_out == _TRAINS_LAST,
            "conclusions": list(conclude(chosen, tried)),
            "images": len(self.run.task.validation),
            "limits": [dataclasses.asdict(limit) for limit in self.limits],
            "candidates": [
                {
                    **dataclasses.asdict(each),
                    "verdict": "chosen" if each is chosen else each.verdict,
                    "reason": give_reason(each, chosen, tried),
                }
                for each in tried
            ],
        }

    def _try(self, name: str, tried: Sequence[Tried], known: _Known) -> Tried:
        config, left_out = SCHEMES[name], find_reason_to_skip(name, tried)
        if name == "mixed_int8" and not left_out:
            config = {**config, "agreement": self._least_agreement(known)}
        if name == "qat_int8" and self.entry.train:
            config = {**config, "train": self.entry.train.model_dump(mode="json", exclude_unset=True)}
        if name == "qat_int8" and not left_out and self.tuned is None:
            left_out = _TRAINS_LAST if self.entry.train else _MAY_NOT_TRAIN
        one = Tried(name=name, config=config, left_out=left_out)
        if left_out:
            return one
        try:
            found = known.float32 if name == "float32" else self._make(one, known.teacher)
        except ModelError as error:
            if explain_failure("host", error) is None:  # a slow or full machine is no fault of the scheme
                raise
            return dataclasses.replace(one, refused=str(error))
        return self._fill_in(one, found, known)

    def _make(self, one: Tried, teacher: _Measured) -> _Measured:
        config = QuantizeConfig.model_validate_json(json.dumps(one.config))
        exported = self._export(self.student, read_scheme(config), self.tuned if config.train else None)
        return self._measure(exported, self.cores, teacher)

    def _export(self, trained: Trained, scheme: Scheme, tuned: Tuned | None = None) -> tuple[Exported, ...]:
        images = min(self.run.recipe.verify.images, len(self.run.task.test))  # as the run will ask for what is chosen
        return export_model(self.run, trained, scheme, images, tuned)

    def _measure(
        self, exported: tuple[Exported, ...], cores: Sequence[str], teacher: _Measured | None = None
    ) -> _Measured:
        split = self.run.task.validation
        host = tuple(read_outputs(each, host_outputs(self.run, each, split), split.name) for each in exported)
        counted, failed = count(self.run, cores, exported, split) if cores else ((), ())
        for each in failed:
            if each.why is None:  # not kept: a choice that a busy machine made would be taken from the store for ever
                raise ToolError(each.line)
        found = [m for each in exported for m in measure_file(each)]
        found += [m for each in host for m in score(each.predictions, split.labels)]
        if teacher is not None:
            for mine, its in zip(host, teacher.host, strict=True):
                found.append(score_drop(mine.predictions, its.predictions, split.labels))
        found += compare_formats(host)
        found += [m for each in counted for m in measure_counts(each)]
        return _Measured(exported=exported, host=host, counted=counted, failed=failed, measurements=tuple(found))

    def _fill_in(self, one: Tried, found: _Measured, known: _Known) -> Tried:
        instructions: dict[str, dict[str, int]] = {}
        for each in found.counted:
            instructions.setdefault(each.core, {})[each.exported.artifact.format] = each.counts["instructions"]
        files = [each.artifact for each in found.exported]
        accuracy = {m.artifact: m.value for m in found.measurements if m.metric == "accuracy"}
        failed = [verdict for verdict in self._judge(found, known) if verdict.status == "FAIL"]
        return dataclasses.replace(
            one,
            accuracy={file.format: accuracy[file.sha256] for file in files},
            size_bytes={file.format: file.size_bytes for file in files},
            instructions=instructions,
            broken=tuple((verdict.budget.metric, _describe(verdict)) for verdict in failed),
            refused=found.failed[0].line if found.failed else "",
        )

    def _judge(self, found: _Measured, known: _Known) -> list[Verdict]:
        """The limits on these files, under the names that the recipe gives them; what is not known yet is MISSING."""
        files = [dataclasses.replace(each.artifact, name=self._name(each)) for each in found.exported]
        others = [each.artifact for one in known for each in one.exported]
        measurements = [m for one in (*known, found) for m in one.measurements]
        names = {file.name for file in files}
        return [each for each in judge(self.limits, (*others, *files), measurements) if each.artifact in names]

    def _name(self, exported: Exported) -> str:
        file = exported.artifact
        assert file.format != "safetensors"
        assert file.format != "ort"
        return artifact_name("student", self.entry.scheme, file.format)

    def _least_agreement(self, known: _Known) -> float:
        """The share of images that must keep their class: accuracy cannot fall by more than the others."""
        names = [self._name(each) for each in known.float32.exported]
        room = [
            abs(verdict.limit - verdict.value)
            for verdict in self._judge(known.float32, known)
            if verdict.value is not None and limits_accuracy(verdict.budget, names)
        ]
        return max(1 - min(room, default=0.0), 0.01)


def _describe(verdict: Verdict) -> str:
    """`accuracy_drop 0.0312 of student-auto.onnx is above 0.0050`."""
    assert verdict.value is not None
    budget = verdict.budget
    unit = "ratio" if budget.relative_to is not None else METRICS[budget.metric]
    digits = decimals(unit, verdict.value - verdict.limit, verdict.limit)
    value, limit = (exact(number, unit, digits) for number in (verdict.value, verdict.limit))
    where = f" on {budget.target}" if budget.target else ""
    where += f" relative to {budget.relative_to}" if budget.relative_to else ""
    side = "above" if budget.at_most is not None else "below"
    return f"{budget.metric} {value} of {verdict.artifact}{where} is {side} {limit}"
