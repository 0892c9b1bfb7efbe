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
        self._handles = []
        for slot, path in enumerate(paths):
            if path not in layers or not path:
                near = difflib.get_close_matches(path, layers, n=3, cutoff=0.3) or list(layers)[1:6]
                raise ModelError(
                    f"{whose}: has no layer {path!r}; expected a module path; near ones: {', '.join(near)}"
                )
            self._handles.append(layers[path].register_forward_hook(self._keep(slot)))

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
            self._outputs[slot] = output

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
    shapes = []
    for model, whose, paths in (
        (student, "student", [match.student_layer for match in matches]),
        (teacher, "teacher", [match.teacher_layer for match in matches]),
    ):
        tap = LayerTap(model, paths, whose)
        training = model.training
        model.eval()(inputs)
        model.train(training)
        shapes.append([feature.shape for feature in tap.take()])
        tap.close()
    return [_projector(match, ours, theirs) for match, ours, theirs in zip(matches, *shapes, strict=True)]


def match_loss(match: FeatureMatch, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
    """A pair's weighted loss; where shapes must agree, the larger map is averaged down to the smaller one's size."""
    if match.loss.needs_same_shape and student_feature.ndim == 4:
        height, width = (min(student_feature.shape[d], teacher_feature.shape[d]) for d in (2, 3))
        student_feature = F.adaptive_avg_pool2d(student_feature, (height, width))
        teacher_feature = F.adaptive_avg_pool2d(teacher_feature, (height, width))
    return match.loss(student_feature, teacher_feature)


def _projector(match: FeatureMatch, ours: torch.Size, theirs: torch.Size) -> nn.Module:
    where = f"features {match.student_layer} {tuple(ours)} and {match.teacher_layer} {tuple(theirs)}"
    if match.loss.needs_same_shape and len(ours) != len(theirs):
        raise ModelError(
            f"{where}: have {len(ours)} and {len(theirs)} dimensions; expected as many; choose layers of one kind, or a"
            " relational loss"
        )
    channels = 1 if len(ours) == 4 else len(ours) - 1
    if match.project:
        return (
            nn.Conv2d(ours[1], theirs[1], 1, bias=False)
            if len(ours) == 4
            else nn.Linear(ours[channels], theirs[channels], bias=False)
        )
    if match.loss.needs_same_shape and ours[channels] != theirs[channels]:
        raise ModelError(
            f"{where}: are {ours[channels]} and {theirs[channels]} wide; expected equal widths; write project: true, or"
            " choose other layers"
        )
    return nn.Identity()
