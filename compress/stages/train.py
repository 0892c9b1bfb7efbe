"""Train the networks of a run, or take them from the store."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from compress.distill import (
    Augment,
    Distillation,
    Schedule,
    TransferSet,
    choose_device,
    load_weights,
    logits_of,
    train,
    unwrapped,
)
from compress.errors import ModelError
from compress.progress import Stage
from compress.recipe import ModelCall, NormalizeConfig, TrainConfig
from compress.stages.context import Run, Step, execute_step
from compress.stages.trained import WEIGHTS, Trained, build_model, describe_history, describe_model, write_weights
from compress.store import StageResult, file_sha256
from compress.types import Json

CLASSES = "classes.npy"


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """What a student learns from.

    distillation: from whom, and how.
    config, inputs, code: what decides the result, for the key: settings, name -> sha256, modules.
    """

    distillation: Distillation
    config: Json
    inputs: Mapping[str, str]
    code: tuple[str, ...]


def train_model(
    run: Run,
    role: str,
    call: ModelCall,
    config: TrainConfig,
    *,
    normalize: NormalizeConfig | None = None,
    lesson: Lesson | None = None,
    transfer: TransferSet | None = None,
    generation: int = 0,
) -> Trained:
    """Train one model, or take it from the store.

    Args:
        run: the run.
        role: what the model is in it.
        call: makes the untrained model.
        config: how to train.
        normalize: what to do with its inputs first.
        lesson: what to learn from beside labels; None to train on labels alone.
        transfer: what to learn on; None for the task's training split.
        generation: how many of its kind were trained before; each starts from other random weights.
    """
    step = Step(
        name="train",
        title=f"train {role.replace('_', ' ')}",
        config={
            "model": describe_model(call, normalize),
            "train": config.model_dump(mode="json"),
            "generation": generation,
            "classes": len(run.task.classes),
            "device": dataclasses.asdict(choose_device(config.precision)),
        },
        inputs={},
        code=(__name__, call.module),
        libraries=(),
    )
    result = execute_training(
        run,
        step,
        lambda: build_model(run, call, normalize, generation),
        read_schedule(config),
        lesson,
        transfer or TransferSet.of_split(run.task.train),
    )
    return _trained(role, call, normalize, result)


def execute_training(
    run: Run,
    step: Step,
    build: Callable[[], nn.Module],
    schedule: Schedule,
    lesson: Lesson | None,
    transfer: TransferSet,
) -> StageResult:
    """Train a model, or take its weights from the store; every process of a training calls this.

    Args:
        run: the run.
        step: what decides the model before this training, and the schedule; the rest is added here.
        build: makes that model.
        schedule: of the training.
        lesson: what to learn from beside labels.
        transfer: what to learn on.
    """

    def work(folder: Path, stage: Stage | None) -> None:
        model = build()
        history = train(
            model,
            transfer,
            run.task.validation,
            schedule,
            seed=run.recipe.seed,
            checkpoint=folder / "checkpoint" / "training.pt",
            distillation=lesson.distillation if lesson else None,
            world=run.world,
            advance=stage.advance if stage else None,
        )
        if stage:
            write_weights(folder, model, history, choose_device(schedule.precision).bf16)

    whole = _describe_training(run, step, lesson, transfer)
    return execute_step(run, whole, work, describe_history, join=lambda folder: work(folder, None))


def _describe_training(run: Run, step: Step, lesson: Lesson | None, transfer: TransferSet) -> Step:
    """The step with all that decides a training's result."""
    return dataclasses.replace(
        step,
        config={
            **step.config,
            "distill": lesson.config if lesson else None,
            "seed": run.recipe.seed,
            "processes": run.world.size,
        },
        inputs={
            "transfer": transfer.identity,
            "validation": run.task.validation.sha256,
            **step.inputs,
            **(lesson.inputs if lesson else {}),
        },
        code=("compress.distill", "compress.stages.trained", __name__, *step.code, *(lesson.code if lesson else ())),
        libraries=("torch", "numpy", *step.libraries),
    )


def train_alone(run: Run) -> Trained:
    """The student without a teacher, to show what the teacher was worth.

    It sees new views in every epoch: a limited number of them spares the teacher questions, and here is no teacher.
    """
    config = run.recipe.student
    assert config.train is not None  # the recipe's rules
    return train_model(run, "student_alone", config.model, config.train.model_copy(update={"views": 0}))


def adopt_model(run: Run, role: str, call: ModelCall, file: Path, normalize: NormalizeConfig | None) -> Trained:
    """A model whose weights the user has, as if it had been trained here."""

    def make(folder: Path, _: Stage) -> None:
        model = build_model(run, call, normalize)
        load_weights(unwrapped(model), file)
        write_weights(folder, model, ())

    if not file.is_file():
        raise ModelError(f"{file}: no such file; expected the weights of the {role}; correct the path in the recipe")
    step = Step(
        name="adopt",
        title=f"read {role.replace('_', ' ')}",
        config={"model": describe_model(call, normalize), "suffix": file.suffix, "classes": len(run.task.classes)},
        inputs={"file": file_sha256(file)},
        code=("compress.distill", "compress.stages.trained", __name__, call.module),
        libraries=("torch",),
    )
    return _trained(role, call, normalize, execute_step(run, step, make))


def _trained(role: str, call: ModelCall, normalize: NormalizeConfig | None, result: StageResult) -> Trained:
    return Trained(role=role, call=call, normalize=normalize, path=result.path / WEIGHTS, sha256=result.files[WEIGHTS])


def classify_test(run: Run, trained: Trained) -> Path:
    """The classes (n,) int64 that a trained torch model gives the test images, as a .npy file."""
    step = Step(
        name="classify",
        title=f"test {trained.role.replace('_', ' ')} in torch",
        config={"model": trained.describe(), "device": dataclasses.asdict(choose_device("float32"))},
        inputs={"weights": trained.sha256, "test": run.task.test.sha256},
        code=("compress.distill", "compress.stages.trained", __name__, trained.call.module),
        libraries=("torch",),
    )

    def make(folder: Path, _: Stage) -> None:
        logits = logits_of(trained.load(run), torch.from_numpy(run.task.test.images), choose_device("float32"))
        np.save(folder / CLASSES, logits.argmax(1).cpu().numpy())

    def summarize(folder: Path) -> str:
        accuracy = float((np.load(folder / CLASSES) == run.task.test.labels).mean())
        return f"test accuracy {accuracy:.4f}"

    return execute_step(run, step, make, summarize).path / CLASSES


def read_schedule(config: TrainConfig) -> Schedule:
    """The recipe's words as the training loop's."""
    fields = config.model_dump(exclude={"augment"})
    return Schedule(**fields, augment=Augment(**config.augment.model_dump()) if config.augment else None)
