"""A trained network of a run: its weights in the store, and what makes the network that they belong to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from compress.distill import Epoch, ModuleTeacher, Normalized, unwrapped
from compress.distill.seeds import derive_seed
from compress.errors import ModelError
from compress.recipe import ModelCall, NormalizeConfig
from compress.stages.context import Run, build_call
from compress.store import canonical_json, code_version
from compress.types import Json

WEIGHTS, HISTORY = "weights.safetensors", "history.json"


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


def write_weights(folder: Path, model: nn.Module, history: Sequence[Epoch], bf16: bool | None = None) -> None:
    """What a stage leaves of a trained model: its weights, its epochs, and whether they computed in bf16."""
    weights = unwrapped(model).state_dict()  # copied, for the file format takes no tensors that share memory
    save_file(
        {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()},
        folder / WEIGHTS,
    )
    epochs = [dataclasses.asdict(epoch) for epoch in history]
    (folder / HISTORY).write_text(json.dumps({"bf16": bf16, "epochs": epochs}))


def describe_history(folder: Path) -> str:
    """How the last epoch ended, in a phrase."""
    last = _history(folder)["epochs"][-1]
    agreement = f", agrees with its teacher on {last['agreement']:.4f}" if last["agreement"] is not None else ""
    return f"validation accuracy {last['validation_accuracy']:.4f}{agreement}"


def describe_training(trained: Trained) -> Json:
    """The learning curve and whether it was computed in bf16 (None of weights that a user has), for the provenance."""
    return {"role": trained.role, "weights_sha256": trained.sha256, **_history(trained.path.parent)}


def _history(folder: Path) -> Json:
    return json.loads((folder / HISTORY).read_text())
