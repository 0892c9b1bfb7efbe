"""Try schemes on the student, from cheap to costly: accuracy on the validation split, bytes, instructions, limits.

Every scheme goes through the stages of one that a recipe names, so each is made and measured once, a killed run goes
on, and what is chosen is there already. The gate judges the recipe's budgets, on validation images in place of test
images. What those cannot tell (latencies that are measured, devices, outputs on a core) is left to the verdict of the
run, and said to be.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from compress.errors import ModelError, ToolError
from compress.gate import judge
from compress.measure.accuracy import score, score_drop
from compress.quantize import Float32, Scheme
from compress.recipe import QuantizeConfig, artifact_name
from compress.recipe.budget_rules import PREDICTED
from compress.recipe.choice_rules import limits_accuracy
from compress.stages.choice import SCHEMES, Tried, conclude, find_reason_to_skip, give_reason, pick
from compress.stages.context import Run
from compress.stages.elsewhere import measure_counts
from compress.stages.emulate import Counted, count, explain_failure
from compress.stages.evaluate import host_outputs
from compress.stages.export import Exported, export_model
from compress.stages.limits import describe_broken, name_limit
from compress.stages.measurements import OnHost, compare_formats, measure_file, read_outputs
from compress.stages.predict import PlacedPhone, predict_before_test
from compress.stages.schemes import read_scheme
from compress.stages.trained import Trained
from compress.stages.tune import Tuned
from compress.types import Budget, Json, Measurement, Verdict

_EMULATED = ("instructions", "executed_macs", PREDICTED)
_TRAINS_LAST = "it trains the student on, after all others were tried"
_MAY_NOT_TRAIN = "it would train the student on, which this entry does not allow; add train to it"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measured:
    """The files of one scheme, one a format, and what is known of them; `failed` says of one why it ran nowhere."""

    exported: tuple[Exported, ...]
    host: tuple[OnHost, ...]
    counted: tuple[Counted, ...] = ()
    failed: str = ""
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
    phones: that latencies are predicted for.
    limits: that the files must keep.
    """

    run: Run
    entry: QuantizeConfig
    teacher: Trained
    student: Trained
    tuned: Tuned | None
    cores: tuple[str, ...]
    phones: tuple[PlacedPhone, ...]
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
        relative = any(limit.relative_to and limit.metric in _EMULATED for limit in self.limits)
        teacher = self._measure(self._export(self.teacher, Float32()), emulates=relative)
        float32 = self._measure(self._export(self.student, Float32()), teacher)
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
        return self._measure(exported, teacher)

    def _export(self, trained: Trained, scheme: Scheme, tuned: Tuned | None = None) -> tuple[Exported, ...]:
        images = min(self.run.recipe.verify.images, len(self.run.task.test))  # as the run will ask for what is chosen
        return export_model(self.run, trained, scheme, images, tuned)

    def _measure(
        self, exported: tuple[Exported, ...], teacher: _Measured | None = None, *, emulates: bool = True
    ) -> _Measured:
        split = self.run.task.validation
        host = tuple(read_outputs(each, host_outputs(self.run, each, split), split.name) for each in exported)
        counted, failed, predicted = self._emulate(exported) if emulates else ((), "", ())
        found = [m for each in exported for m in measure_file(each)]
        found += [m for each in host for m in score(each.predictions, split.labels)]
        if teacher is not None:
            for mine, its in zip(host, teacher.host, strict=True):
                found.append(score_drop(mine.predictions, its.predictions, split.labels))
        found += compare_formats(host)
        found += [*predicted, *(m for each in counted for m in measure_counts(each))]
        return _Measured(exported=exported, host=host, counted=counted, failed=failed, measurements=tuple(found))

    def _emulate(self, exported: tuple[Exported, ...]) -> tuple[tuple[Counted, ...], str, tuple[Measurement, ...]]:
        """Counts, why a file does not run on a core, and predictions.

        Raises:
            ToolError: a core cannot be emulated, or this machine was too slow: a choice that a busy machine made would
                be taken from the store for ever.
        """
        split = self.run.task.validation
        counted, failed = count(self.run, self.cores, exported, split) if self.cores else ((), ())
        for each in failed:
            if each.why is None:
                raise ToolError(each.line)
        if failed or not self.phones:
            return counted, failed[0].line if failed else "", ()
        try:
            return counted, "", predict_before_test(self.run, exported, split)
        except ModelError as error:
            if explain_failure("the phone's core", error) is None:
                raise ToolError(str(error)) from error
            return counted, str(error), ()

    def _fill_in(self, one: Tried, found: _Measured, known: _Known) -> Tried:
        instructions: dict[str, dict[str, int]] = {}
        for each in found.counted:
            instructions.setdefault(each.core, {})[each.exported.artifact.format] = each.counts["instructions"]
        files = [each.artifact for each in found.exported]
        formats = {file.sha256: file.format for file in files}
        predicted: dict[str, dict[str, float]] = {}
        for m in found.measurements:
            if m.metric == PREDICTED:
                predicted.setdefault(m.target, {})[formats[m.artifact]] = m.value
        accuracy = {m.artifact: m.value for m in found.measurements if m.metric == "accuracy"}
        verdicts = self._judge(found, known)
        return dataclasses.replace(
            one,
            accuracy={file.format: accuracy[file.sha256] for file in files},
            size_bytes={file.format: file.size_bytes for file in files},
            instructions=instructions,
            predicted_ms=predicted,
            broken=tuple(describe_broken(each) for each in verdicts if each.status == "FAIL"),
            unjudged=tuple(dict.fromkeys(name_limit(each.budget) for each in verdicts if each.status == "MISSING")),
            refused=found.failed,
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
