"""Train the teacher, the student, and the student without a teacher."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from compress.distill import Augment, Distillation, Epoch, Schedule, choose_device, predict, train
from compress.errors import ModelError
from compress.progress import Stage
from compress.recipe import DistillConfig, ModelCall, TrainConfig
from compress.stages.context import Run, Step, build_call, execute_step
from compress.types import Json


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained model of the run.

    role: `teacher`, `student` or `student_alone`.
    path: its weights, safetensors.
    sha256: of the weights.
    validation_accuracy: after the last epoch.
    """

    role: str
    call: ModelCall
    path: Path
    sha256: str
    validation_accuracy: float

    def load(self, run: Run) -> nn.Module:
        """The model with its weights, on the CPU, in evaluation mode."""
        model = build_model(run, self.call)
        model.load_state_dict(load_file(self.path))
        return model.eval()


def build_model(run: Run, call: ModelCall) -> nn.Module:
    """An untrained model for the run's task: the same weights for the same seed."""
    torch.manual_seed(run.recipe.seed)
    model = build_call(call, in_channels=run.task.input_shape[0], classes=len(run.task.classes))
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"{call.path}: returned {type(model).__name__}; expected a torch.nn.Module; return the model itself"
        )
    return model


def train_model(
    run: Run, role: str, call: ModelCall, config: TrainConfig, learn_from: tuple[Trained, DistillConfig] | None = None
) -> Trained:
    """Train one model, or take it from the store.

    Args:
        run: the run.
        role: what the model is in it.
        call: makes the untrained model.
        config: how to train.
        learn_from: the teacher and how to learn from it; None to train on labels alone.
    """
    device = choose_device()
    inputs = {"train": run.task.train.sha256, "validation": run.task.validation.sha256}
    if learn_from:
        inputs["teacher"] = learn_from[0].sha256
    step = Step(
        name="train",
        title=f"train {role.replace('_', ' ')}",
        config={
            "model": {"call": call.path, "args": call.args},
            "train": config.model_dump(mode="json"),
            "distill": learn_from[1].model_dump(mode="json") if learn_from else None,
            "seed": run.recipe.seed,
            "classes": len(run.task.classes),
            "device": dataclasses.asdict(device),
        },
        inputs=inputs,
        # The teacher's module too: its weights alone do not say what it answers.
        code=(
            "compress.distill",
            __name__,
            *(each.path.partition(":")[0] for each in (call, *([learn_from[0].call] if learn_from else []))),
        ),
        libraries=("torch", "numpy"),
    )

    def make(folder: Path, stage: Stage) -> None:
        model = build_model(run, call)
        teacher = learn_from and Distillation(
            teacher=learn_from[0].load(run), temperature=learn_from[1].temperature, alpha=learn_from[1].alpha
        )
        history = train(
            model,
            run.task.train,
            run.task.validation,
            _schedule(config),
            seed=run.recipe.seed,
            checkpoint=folder / "checkpoint" / "epoch.pt",
            distillation=teacher or None,
            advance=stage.advance,
        )
        save_file(
            {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "weights.safetensors"
        )
        (folder / "history.json").write_text(json.dumps([dataclasses.asdict(epoch) for epoch in history]))

    result = execute_step(
        run, step, make, lambda folder: f"validation accuracy {_last(folder).validation_accuracy:.4f}"
    )
    return Trained(
        role=role,
        call=call,
        path=result.path / "weights.safetensors",
        sha256=result.files["weights.safetensors"],
        validation_accuracy=_last(result.path).validation_accuracy,
    )


def classify_test(run: Run, trained: Trained) -> Path:
    """The classes (n,) int64 that a trained torch model gives the test images, as a .npy file."""
    import numpy as np

    step = Step(
        name="classify",
        title=f"test {trained.role.replace('_', ' ')} in torch",
        config={
            "model": {"call": trained.call.path, "args": trained.call.args},
            "device": dataclasses.asdict(choose_device()),
        },
        inputs={"weights": trained.sha256, "test": run.task.test.sha256},
        code=("compress.distill", __name__, trained.call.path.partition(":")[0]),
        libraries=("torch",),
    )

    def make(folder: Path, _: Stage) -> None:
        np.save(folder / "classes.npy", predict(trained.load(run), run.task.test).numpy())

    def summarize(folder: Path) -> str:
        accuracy = float((np.load(folder / "classes.npy") == run.task.test.labels).mean())
        return f"test accuracy {accuracy:.4f}"

    return execute_step(run, step, make, summarize).path / "classes.npy"


def describe_training(trained: Trained) -> Json:
    """The learning curve, for the provenance."""
    return {"role": trained.role, "weights_sha256": trained.sha256, "epochs": json.loads(_history(trained.path.parent))}


def _schedule(config: TrainConfig) -> Schedule:
    return Schedule(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        warmup_fraction=config.warmup_fraction,
        label_smoothing=config.label_smoothing,
        views=config.views,
        augment=Augment(pad=config.augment.pad, flip=config.augment.flip) if config.augment else None,
    )


def _history(folder: Path) -> str:
    return (folder / "history.json").read_text()


def _last(folder: Path) -> Epoch:
    return Epoch(**json.loads(_history(folder))[-1])
