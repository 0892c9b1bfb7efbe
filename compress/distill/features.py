"""Matching what student and teacher compute inside: layers named by their module path, projectors that train along.

- The projectors live beside the student in one trainable module, so that the optimiser, gradient averaging and
  checkpoints see them; the student itself never holds them, so neither does its export.
- Layers and shapes are checked on one real batch before anything trains.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.distill.losses import FeatureObjective
from compress.distill.teachers import unwrapped
from compress.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class FeatureMatch:
    """One pair of layers that are to agree.

    student_layer, teacher_layer: module paths, as `named_modules` spells them.
    loss: what agreement means, and its weight.
    project: put a trainable linear map (1 x 1 convolution) on the student's features, to the teacher's width.
    """

    student_layer: str
    teacher_layer: str
    loss: FeatureObjective
    project: bool = False


class LayerTap:
    """Keeps what some layers put out in the latest forward pass."""

    def __init__(self, model: nn.Module, paths: Sequence[str], whose: str) -> None:
        """Watch the layers.

        Raises:
            ModelError: a path names no layer; the message lists near ones.
        """
        layers = dict(model.named_modules())
        self._outputs: list[Tensor | None] = [None] * len(paths)
        self._paths, self._whose = tuple(paths), whose
        for path in paths:
            if path not in layers or not path:
                near = difflib.get_close_matches(path, layers, n=3, cutoff=0.3) or list(layers)[1:6]
                raise ModelError(
                    f"{whose}: has no layer {path!r}; expected a module path; near ones: {', '.join(near)}"
                )
        self._handles = [layers[path].register_forward_hook(self._keep(slot)) for slot, path in enumerate(paths)]

    def take(self) -> tuple[Tensor, ...]:
        """The outputs of the latest forward pass, in float32, in the order of the paths; they are forgotten here.

        Raises:
            ModelError: a layer did not run, or put out something else than a tensor.
        """
        taken, self._outputs = self._outputs, [None] * len(self._paths)
        for path, output in zip(self._paths, taken, strict=True):
            if not isinstance(output, Tensor):
                raise ModelError(
                    f"{self._whose}: layer {path} gave {type(output).__name__}; expected a tensor from every forward"
                    " pass; name a layer that runs and returns one tensor"
                )
        return tuple(output.float() for output in taken if output is not None)

    def close(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()

    def _keep(self, slot: int):  # type: ignore[no-untyped-def]  # torch's own hook type
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            # A copy: a ReLU(inplace=True) behind a batch norm would overwrite what the batch norm put out.
            self._outputs[slot] = output.clone() if isinstance(output, Tensor) else output

        return keep


class Learner(nn.Module):
    """The student with its projectors: everything that trains, in one module."""

    def __init__(
        self, student: nn.Module, matches: Sequence[FeatureMatch], projectors: Sequence[nn.Module] = ()
    ) -> None:
        super().__init__()
        self.student = student
        self.projectors = nn.ModuleList(projectors)
        self._tap = LayerTap(student, [match.student_layer for match in matches], "student") if matches else None

    def forward(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits (batch, classes), and the projected features of each match."""
        logits = self.student(inputs)
        if self._tap is None:
            return logits, ()
        features = self._tap.take()
        with torch.autocast(logits.device.type, enabled=False):  # what a loss compares is float32 to the end
            return logits, tuple(project(each) for project, each in zip(self.projectors, features, strict=True))

    def close(self) -> None:
        """Stop watching the student's layers."""
        if self._tap:
            self._tap.close()


@torch.no_grad()
def make_projectors(
    student: nn.Module, teacher: nn.Module, matches: Sequence[FeatureMatch], inputs: Tensor
) -> list[nn.Module]:
    """A projector per match, identity where none is asked for.

    Args:
        student: where its inputs are.
        teacher: likewise.
        matches: the pairs of layers.
        inputs: one small batch.

    Raises:
        ModelError: a layer does not exist, or the shapes of a pair cannot be compared.
    """
    features = []
    for model, whose, paths in (
        (student, "student", [match.student_layer for match in matches]),
        (teacher, "teacher", [match.teacher_layer for match in matches]),
    ):
        tap = LayerTap(unwrapped(model), paths, whose)
        training = model.training
        try:
            model.eval()(inputs)
            features.append(tap.take())
        finally:
            tap.close()
            model.train(training)
    return [_projector(match, ours, theirs) for match, ours, theirs in zip(matches, *features, strict=True)]


def match_loss(match: FeatureMatch, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
    """A pair's weighted loss; where shapes must agree, the larger map is averaged down to the smaller one's size."""
    if match.loss.needs_same_shape and student_feature.ndim == 4:
        height, width = (min(student_feature.shape[d], teacher_feature.shape[d]) for d in (2, 3))
        student_feature = F.adaptive_avg_pool2d(student_feature, (height, width))
        teacher_feature = F.adaptive_avg_pool2d(teacher_feature, (height, width))
    return match.loss(student_feature, teacher_feature)


def _projector(match: FeatureMatch, ours: Tensor, theirs: Tensor) -> nn.Module:
    where = f"features {match.student_layer} {tuple(ours.shape)} and {match.teacher_layer} {tuple(theirs.shape)}"
    if match.loss.needs_same_shape and ours.ndim != theirs.ndim:
        raise ModelError(
            f"{where}: have {ours.ndim} and {theirs.ndim} dimensions; expected as many; choose layers of one kind, or a"
            " relational loss"
        )
    width, wanted = _width(ours), _width(theirs)
    projector: nn.Module = nn.Identity()
    if match.project and ours.ndim == 4:
        projector = nn.Conv2d(width, wanted, 1, bias=False)
    elif match.project:
        projector = nn.Linear(width, wanted, bias=False)
    elif match.loss.needs_same_shape and width != wanted:
        raise ModelError(
            f"{where}: are {width} and {wanted} wide; expected equal widths; write project: true, or choose other"
            " layers"
        )
    try:
        match_loss(match, projector(ours), theirs)
    except ValueError as error:  # the loss says what shapes it takes
        raise ModelError(f"{where}: {error}; choose other layers or another loss") from error
    return projector


def _width(feature: Tensor) -> int:
    return feature.shape[1] if feature.ndim == 4 else feature.shape[-1]
