"""Train the networks of a run, or take them from the store."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from compress.distill import (
    Augment,
    Distillation,
    Epoch,
    ModuleTeacher,
    Normalized,
    Schedule,
    TransferSet,
    choose_device,
    load_weights,
    logits_of,
    train,
    unwrapped,
)
from compress.distill.answers import Advance
from compress.distill.seeds import derive_seed
from compress.errors import ModelError
from compress.progress import Stage
from compress.recipe import ModelCall, NormalizeConfig, TrainConfig
from compress.stages.context import Run, Step, build_call, execute_step
from compress.store import canonical_json, code_version, file_sha256
from compress.types import Json

WEIGHTS, HISTORY, CLASSES = "weights.safetensors", "history.json", "classes.npy"


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained model of the run.

    role: `teacher`, `teacher_2`, ..., `student`, `student_alone`, `student_generation_1`, ...
    call: makes the untrained model.
    normalize: what its inputs are normalised with, if they are.
    path: its weights, safetensors.
    sha256: of the weights.
    """

    role: str
    call: ModelCall
    normalize: NormalizeConfig | None = None
    path: Path
    sha256: str

    def describe(self) -> Json:
        """The architecture, for keys of stages that run it."""
        return describe_model(self.call, self.normalize)

    def load(self, run: Run) -> nn.Module:
        """The model with its weights, on the CPU, in evaluation mode."""
        model = build_model(run, self.call, self.normalize)
        unwrapped(model).load_state_dict(load_file(self.path))
        return model.eval()

    def as_teacher(self, run: Run) -> ModuleTeacher:
        """The model as one to learn from."""
        code = f"{code_version(self.call.module)} {canonical_json(self.describe()).decode()}"
        return ModuleTeacher(model=self.load(run), code=code)


def build_model(run: Run, call: ModelCall, normalize: NormalizeConfig | None = None, generation: int = 0) -> nn.Module:
    """An untrained model for the run's task: the same weights for the same seed and generation."""
    torch.manual_seed(derive_seed(run.recipe.seed, "weights", generation))
    model = build_call(call, in_channels=run.task.input_shape[0], classes=len(run.task.classes))
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"{call.where}: returned {type(model).__name__}; expected a torch.nn.Module; return the model itself"
        )
    channels = run.task.input_shape[0]
    if normalize and len(normalize.mean) not in (1, channels):
        raise ModelError(
            f"{call.where}: normalize has {len(normalize.mean)} values for mean and std; expected one for each of the"
            f" {channels} channels of task {run.task.name}, or one for all; correct normalize in the recipe"
        )
    return Normalized(model, normalize.mean, normalize.std) if normalize else model


def describe_model(call: ModelCall, normalize: NormalizeConfig | None) -> Json:
    """The architecture that a recipe names."""
    described: Json = {"call": call.path, "args": call.args}
    return described | {"normalize": normalize.model_dump(mode="json")} if normalize else described


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """What a student learns from.

    teachers: in the order of the recipe.
    distillation: how, with those teachers.
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
    transfer = transfer or TransferSet.of_split(run.task.train)
    schedule = read_schedule(config)
    step = Step(
        name="train",
        title=f"train {role.replace('_', ' ')}",
        config={
            "model": describe_model(call, normalize),
            "train": config.model_dump(mode="json"),
            "distill": lesson.config if lesson else None,
            "seed": run.recipe.seed,
            "generation": generation,
            "classes": len(run.task.classes),
            "device": dataclasses.asdict(choose_device(config.precision)),
            "processes": run.world.size,
        },
        inputs={
            "transfer": transfer.identity,
            "validation": run.task.validation.sha256,
            **(lesson.inputs if lesson else {}),
        },
        code=("compress.distill", __name__, call.module, *(lesson.code if lesson else ())),
        libraries=("torch", "numpy"),
    )

    def work(folder: Path, advance: Advance | None) -> tuple[nn.Module, tuple[Epoch, ...]]:
        model = build_model(run, call, normalize, generation)
        history = train(
            model,
            transfer,
            run.task.validation,
            schedule,
            seed=run.recipe.seed,
            checkpoint=folder / "checkpoint" / "training.pt",
            distillation=lesson.distillation if lesson else None,
            world=run.world,
            advance=advance,
        )
        return model, history

    def make(folder: Path, stage: Stage) -> None:
        write_weights(folder, *work(folder, stage.advance))

    def join(folder: Path) -> None:
        work(folder, None)

    result = execute_step(run, step, make, describe_history, join=join)
    return Trained(
        role=role,
        call=call,
        normalize=normalize,
        path=result.path / WEIGHTS,
        sha256=result.files[WEIGHTS],
    )


def train_alone(run: Run) -> Trained:
    """The student without a teacher, to show what the teacher was worth.

    It sees new views in every epoch: a limited number of them spares the teacher questions, and here is no teacher.
    """
    config = run.recipe.student
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
        code=("compress.distill", __name__, call.module),
        libraries=("torch",),
    )
    result = execute_step(run, step, make)
    return Trained(role=role, call=call, normalize=normalize, path=result.path / WEIGHTS, sha256=result.files[WEIGHTS])


def classify_test(run: Run, trained: Trained) -> Path:
    """The classes (n,) int64 that a trained torch model gives the test images, as a .npy file."""
    step = Step(
        name="classify",
        title=f"test {trained.role.replace('_', ' ')} in torch",
        config={"model": trained.describe(), "device": dataclasses.asdict(choose_device("float32"))},
        inputs={"weights": trained.sha256, "test": run.task.test.sha256},
        code=("compress.distill", __name__, trained.call.module),
        libraries=("torch",),
    )

    def make(folder: Path, _: Stage) -> None:
        logits = logits_of(trained.load(run), torch.from_numpy(run.task.test.images), choose_device("float32"))
        np.save(folder / CLASSES, logits.argmax(1).cpu().numpy())

    def summarize(folder: Path) -> str:
        accuracy = float((np.load(folder / CLASSES) == run.task.test.labels).mean())
        return f"test accuracy {accuracy:.4f}"

    return execute_step(run, step, make, summarize).path / CLASSES


def describe_training(trained: Trained) -> Json:
    """The learning curve, for the provenance."""
    return {"role": trained.role, "weights_sha256": trained.sha256, "epochs": _history(trained.path.parent)}


def read_schedule(config: TrainConfig) -> Schedule:
    """The recipe's words as the training loop's."""
    fields = config.model_dump(exclude={"augment"})
    return Schedule(**fields, augment=Augment(**config.augment.model_dump()) if config.augment else None)


def write_weights(folder: Path, model: nn.Module, history: Sequence[Epoch]) -> None:
    """What a stage leaves of a trained model."""
    weights = unwrapped(model).state_dict()  # copied, for the file format takes no tensors that share memory
    save_file(
        {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()},
        folder / WEIGHTS,
    )
    (folder / HISTORY).write_text(json.dumps([dataclasses.asdict(epoch) for epoch in history]))


def describe_history(folder: Path) -> str:
    """How the last epoch ended, in a phrase."""
    last = _history(folder)[-1]
    agreement = f", agrees with its teacher on {last['agreement']:.4f}" if last["agreement"] is not None else ""
    return f"validation accuracy {last['validation_accuracy']:.4f}{agreement}"


def _history(folder: Path) -> Json:
    return json.loads((folder / HISTORY).read_text())
