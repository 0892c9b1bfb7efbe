"""Train the student on through the rounding of int8, or take that from the store."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from compress.distill import Schedule, TransferSet, choose_device
from compress.quantize import QATInt8, TrainableGraph, prepare
from compress.recipe import QuantizeConfig
from compress.stages.context import Run, Step
from compress.stages.schemes import read_qat_scheme
from compress.stages.train import Lesson, execute_training, read_schedule
from compress.stages.trained import WEIGHTS, Trained


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuned:
    """A student whose weights know what int8 does to them.

    student: as it was before.
    scheme: what it was trained for.
    path: its weights, safetensors: those of the graph, batch norm folded.
    sha256: of the weights.
    """

    student: Trained
    scheme: QATInt8
    path: Path
    sha256: str

    def load(self, run: Run) -> TrainableGraph:
        """The graph with its weights, on the CPU."""
        graph = make_trainable(run, self.student, self.scheme)
        graph.load_state_dict(load_file(self.path))
        return graph.eval()


def tune(run: Run, student: Trained, config: QuantizeConfig, lesson: Lesson | None, transfer: TransferSet) -> Tuned:
    """Train the student on.

    Args:
        run: the run.
        student: trained in float.
        config: the recipe's entry, of the scheme qat_int8.
        lesson: what it learns from beside labels; features are left out, for the graph's layers have other names.
        transfer: what to learn on.
    """
    scheme, schedule = read_qat_scheme(config), tuning_schedule(config)
    step = Step(
        name="tune",
        title="train student for int8",
        config={
            "model": student.describe(),
            "scheme": dataclasses.asdict(scheme),
            "train": config.model_dump(mode="json", include={"train"}),
            "device": dataclasses.asdict(choose_device("float32")),
        },
        inputs={"student": student.sha256, "calibration": run.task.calibration.sha256},
        code=("compress.quantize", __name__, student.call.module),
        libraries=(),
    )
    result = execute_training(run, step, lambda: make_trainable(run, student, scheme), schedule, lesson, transfer)
    return Tuned(student=student, scheme=scheme, path=result.path / WEIGHTS, sha256=result.files[WEIGHTS])


def make_trainable(run: Run, student: Trained, scheme: QATInt8) -> TrainableGraph:
    """The student's graph with rounding in it, before it trains."""
    images = torch.from_numpy(run.task.calibration.images)
    return prepare(student.load(run), images[:1], scheme, images)


def tuning_schedule(config: QuantizeConfig) -> Schedule:
    """The recipe's words as the training loop's: in float32, for bf16 rounds as coarsely as int8 does."""
    assert config.train is not None  # the recipe's rules
    return dataclasses.replace(read_schedule(config.train), precision="float32")
