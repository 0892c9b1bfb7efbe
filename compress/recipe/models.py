"""The recipe's words for its models: the teachers and the student, each trained by the run or read from a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, model_validator

from compress.recipe.calls import Call, ModelCall
from compress.recipe.rules import one_of
from compress.recipe.training import DistillConfig, TrainConfig
from compress.strict_yaml import Part
from compress.strict_yaml.wording import refusal


class NormalizeConfig(Part):
    """What a network was trained on instead of [0, 1]: (x - mean) / std, one value per channel."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]

    @model_validator(mode="after")
    def _are_pairs(self) -> NormalizeConfig:
        if len(self.mean) != len(self.std) or not self.mean:
            raise refusal(
                f"expected one value per channel in mean and in std, got {len(self.mean)} and {len(self.std)}"
            )
        return self


class TeacherConfig(Part):
    """A large model. The recipe's `teacher` is the baseline of every ratio, exported in float32.

    train: how to train it.
    weights: in place of train, a file of its weights, .safetensors or .pt, relative to the recipe.
    normalize: if it was trained on other inputs than [0, 1].
    """

    model: ModelCall
    train: TrainConfig | None = None
    weights: str | None = None
    normalize: NormalizeConfig | None = None

    @model_validator(mode="after")
    def _is_trained_or_read(self) -> TeacherConfig:
        one_of("train", self.train, "weights", self.weights)
        return self


class MoreTeacherConfig(Part):
    """Another teacher of the same student: a model as `teacher`, or anything that returns probabilities.

    probabilities: a call that returns a function, images (n, channels, h, w) to probabilities (n, classes).
    """

    model: ModelCall | None = None
    train: TrainConfig | None = None
    weights: str | None = None
    normalize: NormalizeConfig | None = None
    probabilities: Call | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> MoreTeacherConfig:
        one_of("model", self.model, "probabilities", self.probabilities)
        if self.model:
            one_of("train", self.train, "weights", self.weights)
        elif self.train or self.weights or self.normalize:
            raise refusal("probabilities are asked for as they are; leave train, weights and normalize out")
        return self


class StudentConfig(Part):
    """The small model, exported in every scheme.

    train: how to train it.
    weights: in place of train, if it is trained already: a file of its weights as a teacher's.
    normalize: if those were trained on other inputs than [0, 1]; the layers that `exempt` names are then `model.head`
        for `head`, as in the report.
    distill: without it the student is trained on labels alone.
    compare_alone: also train the same student without the teacher, to show what the teacher was worth.
    """

    model: ModelCall
    train: TrainConfig | None = None
    weights: str | None = None
    normalize: NormalizeConfig | None = None
    distill: DistillConfig | None = None
    compare_alone: bool = False

    @model_validator(mode="after")
    def _is_trained_or_read(self) -> StudentConfig:
        one_of("train", self.train, "weights", self.weights)
        asked = " and ".join(key for key in ("distill", "compare_alone") if getattr(self, key))
        if self.weights and asked:
            says = "say" if " " in asked else "says"
            raise refusal(
                f"{asked} {says} how a student is trained, and weights are read as they are; leave {asked} out, or"
                " write train in place of weights"
            )
        if self.train and self.normalize:
            raise refusal("normalize says what weights were trained on, and train sees [0, 1]; leave it out")
        return self

    @model_validator(mode="after")
    def _smooths_what_it_learns(self) -> StudentConfig:
        if self.train is None:
            return self
        labels_count = self.compare_alone or self.distill is None or self.distill.alpha < 1
        if self.train.label_smoothing > 0 and not labels_count:
            raise refusal("label_smoothing does nothing with alpha: 1, which ignores the labels; leave one out")
        return self


def nobody_is_idle(student: StudentConfig, info: ValidationInfo) -> StudentConfig:
    """Every teacher of the recipe has a student, and nothing is said about teachers that are not there."""
    more_teachers, distill = info.data.get("more_teachers", ()), student.distill
    if student.train and info.data.get("teacher", student) is None:
        raise refusal(
            "trains here, and there is no teacher to hold it against; add teacher, or write weights in place of train"
            " and distill"
        )
    if more_teachers and student.weights:
        raise refusal("more_teachers teach nobody, for the student's weights are read as they are; leave them out")
    if more_teachers and distill is None:
        raise refusal("more_teachers teach nobody without distill; add it, or leave them out")
    alone = not more_teachers and (distill is None or distill.generation_teachers == "last")
    if distill and alone and "combine" in distill.model_fields_set:
        raise refusal("combine has one teacher to combine; add more_teachers, or leave it out")
    return student
