"""Whom the student learns from, measured before the student trains."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compress.distill import (
    Distillation,
    FeatureMatch,
    ProbabilityTeacher,
    SoftTargets,
    Teacher,
    TransferSet,
    choose_device,
)
from compress.errors import ModelError
from compress.measure.scores import estimate_accuracy
from compress.progress import Stage
from compress.recipe import Call, DistillConfig, MoreTeacherConfig, QuantizeConfig, StudentConfig, TeacherConfig
from compress.stages.context import Run, Step, blame, build_call, execute_step
from compress.stages.train import CLASSES, Lesson, adopt_model, classify_test, train_model
from compress.stages.trained import Trained
from compress.stages.tune import Tuned, tune
from compress.store import canonical_json, code_version, file_sha256
from compress.types import Json

_BATCH = 500
_FAITHFUL = DistillConfig(alpha=0.9, temperature=4.0)
"""How a student that has learnt elsewhere, of whom the recipe says no `distill`, trains on for int8."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Teachers:
    """All who teach the student.

    trained: the networks, the baseline first.
    callables: whatever else returns probabilities.
    """

    trained: tuple[Trained, ...]
    callables: tuple[ProbabilityTeacher, ...]


def obtain_callables(run: Run) -> tuple[ProbabilityTeacher, ...]:
    """The teachers that are not trained here, measured on the test split, which shows whether they are any good.

    Raises:
        ModelError: one returns no probabilities, has other classes than the task, or is no better than always naming
            the most frequent class.
    """
    callables = []
    for config in run.recipe.more_teachers:
        if config.probabilities:
            teacher = _callable_teacher(config.probabilities)
            _refuse_chance(teacher.identity, np.load(_classify_test(run, teacher)), run.task.test.labels)
            callables.append(teacher)
    return tuple(callables)


def read_student(run: Run) -> Trained | None:
    """The student that is trained already, measured on the test split; None where the recipe trains it.

    Raises:
        ModelError: its file does not fit it, or it is no better than always naming the most frequent class.
    """
    config = run.recipe.student
    if config.weights is None:
        return None
    student = _obtain(run, "student", config)
    _refuse_chance(student.role, np.load(classify_test(run, student)), run.task.test.labels)
    return student


def obtain_teachers(run: Run, callables: tuple[ProbabilityTeacher, ...], student: Trained | None) -> Teachers:
    """Train or read every other teacher; files first, for a wrong one must not be found after hours of training.

    Args:
        run: the run.
        callables: the teachers that are there already.
        student: if it is trained already; where the recipe has no teacher, it is its own.
    """
    if run.recipe.teacher is None:
        assert student is not None  # the recipe's rules
        return Teachers(trained=(dataclasses.replace(student, role="teacher"),), callables=callables)
    configs: dict[str, TeacherConfig | MoreTeacherConfig] = {"teacher": run.recipe.teacher}
    for number, config in enumerate(run.recipe.more_teachers, start=2):
        if config.model:
            configs[f"teacher_{number}"] = config
    in_turn = sorted(configs, key=lambda role: configs[role].weights is None)
    trained = {role: _obtain(run, role, configs[role]) for role in in_turn}
    return Teachers(trained=tuple(trained[role] for role in configs), callables=callables)


def measure_teachers(run: Run, teachers: Teachers) -> None:
    """Measure every trained teacher on the test split and show it; nobody learns from one that knows nothing.

    Raises:
        ModelError: a teacher is no better than always naming the most frequent class.
    """
    for trained in teachers.trained:
        _refuse_chance(trained.role, np.load(classify_test(run, trained)), run.task.test.labels)


def make_lesson(
    run: Run, config: DistillConfig, trained: Sequence[Trained], callables: Sequence[ProbabilityTeacher]
) -> Lesson:
    """What one student learns from these teachers."""
    teachers: tuple[Teacher, ...] = (*(each.as_teacher(run) for each in trained), *callables)
    cache = None if config.live else run.home / "teacher-answers"
    calls = [config.loss, *(match.loss for match in config.features)]
    return Lesson(
        distillation=read_distillation(config, teachers, cache),
        config={
            **config.model_dump(mode="json", include={"alpha", "temperature", "loss", "combine", "features"}),
            "teachers": [each.describe() for each in trained] + [each.identity for each in callables],
        },
        inputs={f"teacher_{number}": each.sha256 for number, each in enumerate(trained, start=1)},
        code=(__name__, *(each.call.module for each in trained), *(call.module for call in calls if call)),
    )


def tune_student(
    run: Run, student: Trained, config: QuantizeConfig, teachers: Teachers, transfer: TransferSet
) -> Tuned:
    """The student, trained on for int8 with the teachers that it had from the beginning.

    One that was trained elsewhere learns from the recipe's teacher, or else from itself as it was in float.
    """
    distill = _FAITHFUL if run.recipe.student.weights else run.recipe.student.distill
    lesson = None
    if distill:
        logits_alone = distill.model_copy(update={"features": ()})
        lesson = make_lesson(run, logits_alone, teachers.trained, teachers.callables)
    return tune(run, student, config, lesson, transfer)


def read_distillation(config: DistillConfig, teachers: tuple[Teacher, ...], cache: Path | None) -> Distillation:
    """The recipe's words as the training loop's."""
    return Distillation(
        teachers=teachers,
        loss=config.loss.build() if config.loss else SoftTargets(temperature=config.temperature or 1.0),
        alpha=config.alpha,
        combine=config.combine,
        features=tuple(
            FeatureMatch(
                student_layer=match.student_layer,
                teacher_layer=match.teacher_layer,
                loss=match.loss.build(),
                project=match.project,
            )
            for match in config.features
        ),
        cache=cache,
    )


def _obtain(run: Run, role: str, config: TeacherConfig | MoreTeacherConfig | StudentConfig) -> Trained:
    assert config.model is not None  # the recipe's rules
    if config.weights is not None:
        return adopt_model(run, role, config.model, run.recipe.path.parent / config.weights, config.normalize)
    assert config.train is not None
    return train_model(run, role, config.model, config.train, normalize=config.normalize)


def _callable_teacher(call: Call) -> ProbabilityTeacher:
    """Its identity: of the call, its code, the files that its arguments name, and the predictor's own if it has one."""
    predict = build_call(call)
    if not callable(predict):
        raise ModelError(
            f"{call.where}: returned {type(predict).__name__}; expected a function from images to probabilities;"
            " return one"
        )
    files = [file_sha256(Path(value)) for value in _texts(call.args) if Path(value).is_file()]
    own = getattr(predict, "identity", None)
    made_of = canonical_json([call.path, call.args, code_version(call.module), files, own])

    def ask(images: NDArray[np.float32]) -> NDArray[np.floating]:
        with blame(call, what="the function that it returned", expected="probabilities"):
            return predict(images)

    return ProbabilityTeacher(predict=ask, identity=f"{call.path} {hashlib.sha256(made_of).hexdigest()[:16]}")


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _texts(each)


def _classify_test(run: Run, teacher: ProbabilityTeacher) -> Path:
    """The classes (n,) int64 that it gives the test images, as a .npy file."""
    images, labels = run.task.test.images, run.task.test.labels
    step = Step(
        name="classify",
        title=f"test teacher {teacher.identity}",
        config={"teacher": teacher.identity, "classes": len(run.task.classes)},
        inputs={"test": run.task.test.sha256},
        code=("compress.distill", __name__),
        libraries=("numpy",),
    )

    def make(folder: Path, _: Stage) -> None:
        device = choose_device()
        batches = [torch.from_numpy(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        logits = torch.cat([teacher.logits(batch, device) for batch in batches])
        if logits.shape[1] != len(run.task.classes):
            raise ModelError(
                f"teacher {teacher.identity}: returned probabilities of {logits.shape[1]} classes; expected the"
                f" {len(run.task.classes)} of task {run.task.name}, in their order; return a column for each"
            )
        np.save(folder / CLASSES, logits.argmax(1).cpu().numpy())

    def summarize(folder: Path) -> str:
        return f"test accuracy {float((np.load(folder / CLASSES) == labels).mean()):.4f}"

    return execute_step(run, step, make, summarize).path / CLASSES


def _refuse_chance(name: str, classes: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
    chance = float(np.bincount(labels).max() / len(labels))
    low, high = estimate_accuracy(labels, classes).interval
    if low <= chance:
        raise ModelError(
            f"{name}: has a test accuracy between {low:.3f} and {high:.3f} (95 % interval), and always naming the most"
            f" frequent class has {chance:.3f}; expected a model that knows more; train it longer, or check its"
            " weights and normalize"
        )
