"""Whom the student learns from, checked before anything trains, and measured before the student does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compress.distill import (
    Distillation,
    FeatureMatch,
    ModuleTeacher,
    ProbabilityTeacher,
    SoftTargets,
    Teacher,
    TransferSet,
    choose_device,
)
from compress.distill.distillation import check_distillation
from compress.errors import DataError, ModelError
from compress.measure.scores import estimate_accuracy
from compress.recipe import Call, DistillConfig, MoreTeacherConfig, TeacherConfig
from compress.stages.context import Run, build_call
from compress.stages.train import Lesson, Trained, adopt_model, build_model, classify_test, train_model
from compress.store import canonical_json, code_version

_BATCH = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Teachers:
    """All who teach the student.

    trained: the networks, the baseline first.
    callables: whatever else returns probabilities.
    """

    trained: tuple[Trained, ...]
    callables: tuple[ProbabilityTeacher, ...]


def read_transfer_set(run: Run) -> TransferSet:
    """What the student learns on: the recipe's own transfer set, or the task's training images.

    Raises:
        DataError: the callable returned something else, or its samples do not fit the task.
    """
    config = run.recipe.student.distill
    if config is None or config.transfer_set is None:
        return TransferSet.of_split(run.task.train)
    call = config.transfer_set
    found = build_call(call, home=run.home)
    if isinstance(found, np.ndarray):
        found = TransferSet(inputs=found, labels=None, name=call.path)
    if not isinstance(found, TransferSet):
        raise DataError(
            f"{call.path}: returned {type(found).__name__}; expected an array of images or a TransferSet; return one"
        )
    if found.inputs.shape[1:] != run.task.input_shape:
        raise DataError(
            f"{call.path}: samples of shape {found.inputs.shape[1:]}; expected {run.task.input_shape} as in task"
            f" {run.task.name}; resize them"
        )
    return found


def check_plan(run: Run, transfer: TransferSet) -> None:
    """Refuse a student that could not learn from its teachers, before the teachers are trained.

    Raises:
        DataError, ModelError: see `check_distillation`; also what a model's callable raises.
    """
    recipe = run.recipe
    student = build_model(run, recipe.student.model)
    untrained: list[Teacher] = [ModuleTeacher(model=build_model(run, recipe.teacher.model, recipe.teacher.normalize))]
    for more in recipe.more_teachers:
        if more.model:
            untrained.append(ModuleTeacher(model=build_model(run, more.model, more.normalize)))
    config = recipe.student.distill
    distillation = read_distillation(config, tuple(untrained), None) if config else None
    check_distillation(student, transfer, distillation, choose_device())


def obtain_teachers(run: Run) -> Teachers:
    """Train or read every teacher."""
    trained, callables = [_obtain(run, "teacher", run.recipe.teacher)], []
    for number, config in enumerate(run.recipe.more_teachers, start=2):
        if config.probabilities:
            callables.append(_callable_teacher(config.probabilities))
        else:
            trained.append(_obtain(run, f"teacher_{number}", config))
    return Teachers(trained=tuple(trained), callables=tuple(callables))


def measure_teachers(run: Run, teachers: Teachers) -> None:
    """Measure every teacher on the test split and show it; nobody learns from one that knows nothing.

    Raises:
        ModelError: a teacher is no better than always naming the most frequent class.
    """
    labels = run.task.test.labels
    for trained in teachers.trained:
        _refuse_chance(trained.role, np.load(classify_test(run, trained)), labels)
    for teacher in teachers.callables if run.world.leads else ():
        with run.progress.stage(f"test teacher {teacher.identity}") as stage:
            classes = _ask(teacher, run.task.test.images)
            stage.summary = f"test accuracy {float((classes == labels).mean()):.4f}"
        _refuse_chance(teacher.identity, classes, labels)


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


def _obtain(run: Run, role: str, config: TeacherConfig | MoreTeacherConfig) -> Trained:
    assert config.model is not None  # the recipe's rules
    if config.weights is not None:
        return adopt_model(run, role, config.model, run.recipe.path.parent / config.weights, config.normalize)
    assert config.train is not None
    return train_model(run, role, config.model, config.train, normalize=config.normalize)


def _callable_teacher(call: Call) -> ProbabilityTeacher:
    """Its identity: that of the predictor if it has one, else of the call and its code."""
    predict = build_call(call)
    if not callable(predict):
        raise ModelError(
            f"{call.path}: returned {type(predict).__name__}; expected a function from images to probabilities;"
            " return one"
        )
    made_of = canonical_json([call.path, call.args, code_version(call.module), getattr(predict, "identity", None)])
    return ProbabilityTeacher(predict=predict, identity=f"{call.path} {hashlib.sha256(made_of).hexdigest()[:16]}")


def _ask(teacher: ProbabilityTeacher, images: NDArray[np.float32]) -> NDArray[np.int64]:
    batches = [torch.from_numpy(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    return np.concatenate([teacher.logits(batch, choose_device()).argmax(1).cpu().numpy() for batch in batches])


def _refuse_chance(name: str, classes: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
    chance = float(np.bincount(labels).max() / len(labels))
    low, high = estimate_accuracy(labels, classes).interval
    if low <= chance:
        raise ModelError(
            f"{name}: has a test accuracy between {low:.3f} and {high:.3f} (95 % interval), and always naming the most"
            f" frequent class has {chance:.3f}; expected a teacher that knows more; train it longer, or check its"
            " weights and normalize"
        )
