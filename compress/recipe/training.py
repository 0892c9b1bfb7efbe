"""The recipe's words for training, and for what passes from teachers to the student."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from compress.errors import RecipeError
from compress.recipe.calls import Call
from compress.recipe.rules import one_of
from compress.strict_yaml import Part
from compress.strict_yaml.wording import refusal


class AugmentConfig(Part):
    """Random views of the training images.

    pad: pixels by which an image may be shifted, in any direction.
    flip: mirror half of the images left to right; not for digits or letters.
    cutout: side in pixels of a square that is painted black at a random place; 0 for none.
    """

    pad: int = Field(default=2, ge=0)
    flip: bool = False
    cutout: int = Field(default=0, ge=0)


class TrainConfig(Part):
    """Gradient descent; what each key means in detail: compress.distill.Schedule.

    batch_size: of all processes together.
    learning_rate: the highest one, reached after warmup_fraction of all steps; from there it falls to zero.
    optimizer: sgd for convolutions; adamw for transformers, with a learning rate some hundred times lower.
    views: each image is seen in this many fixed random views, epoch e takes view e mod views; 0: a new one each epoch.
    augment: null trains on the images as they are.
    ema_decay: keep an exponential moving average of the weights, and let it be the result.
    precision: auto computes in bf16 where the hardware multiplies it; float32 is slower, and differs less by machine.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = Field(default=5e-4, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    warmup_fraction: float = Field(default=0.2, ge=0, lt=1)
    decay: Literal["linear", "cosine"] = "linear"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    augment: AugmentConfig | None = AugmentConfig()
    views: int = Field(default=0, ge=0)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    precision: Literal["auto", "float32"] = "auto"


class LossCall(Call):
    """A call that returns a loss: one of compress.distill.losses.objectives, or your own of the same kind.

    kind: what is expected, for messages.
    has: what every loss of this kind says about itself.
    """

    kind: ClassVar[str]
    has: ClassVar[tuple[str, ...]]

    @model_validator(mode="after")
    def _builds(self) -> Self:
        try:
            loss = self.build()
        except RecipeError as error:
            raise refusal(str(error)) from error
        except (Exception, SystemExit) as error:
            raise refusal(f"{self.path}: raised {type(error).__name__}: {error}; mend it or its args") from error
        lacking = [name for name in self.has if not hasattr(loss, name)]
        if lacking or not callable(loss):
            raise refusal(
                f"{self.path}: returned {type(loss).__name__}, which has no {', '.join(lacking) or 'call'}; expected"
                f" {self.kind}; name one, or write one like it"
            )
        return self


class LogitLossCall(LossCall):
    """What is learnt from logits; its protocol is LogitObjective."""

    kind = "a loss on logits, such as compress.distill:DKD"
    has = ("needs_labels", "min_classes", "temperature")


class FeatureLossCall(LossCall):
    """What is learnt from a layer; its protocol is FeatureObjective."""

    kind = "a loss on features, such as compress.distill:Hint"
    has = ("weight", "needs_same_shape")


class TransferCall(Call):
    """A call that returns the transfer set: images (n, channels, h, w) float32 in [0, 1] without labels, or a
    compress.distill.TransferSet; `home` (a Path) is the folder where it may keep downloaded data.
    """

    supplied = ("home",)


class FeatureConfig(Part):
    """Two layers that are to agree, each named by its module path.

    loss: e.g. {call: "compress.distill:Hint", args: {weight: 100}}.
    project: bring the student's features to the teacher's width with a trained linear map, which is not exported.
    """

    student_layer: str
    teacher_layer: str
    loss: FeatureLossCall
    project: bool = False


class DistillConfig(Part):
    """The student also learns what its teachers say.

    alpha: weight of the distillation term; the labels have 1 - alpha.
    temperature: softens the teacher's probabilities (Hinton et al. 2015, arXiv 1503.02531); higher is softer.
    loss: in place of temperature, another loss on logits: {call: "compress.distill:DKD", args: {beta: 2}}.
    combine: how the teacher and more_teachers become one target.
    features: pairs of layers that are to agree as well.
    transfer_set: learn on these images and not on the task's training images.
    generations: how many students are trained, each but the first taught by the one before (born-again).
    generation_teachers: let each generation learn from all before it, not from the last alone.
    live: ask the teacher at every step, and keep nothing: slower, for when the answers would fill the disk.
    """

    alpha: float = Field(ge=0, le=1)
    temperature: float | None = Field(default=None, gt=0)
    loss: LogitLossCall | None = None
    combine: Literal["mean_probability", "mean_logit"] = "mean_probability"
    features: tuple[FeatureConfig, ...] = ()
    transfer_set: TransferCall | None = None
    generations: int = Field(default=1, ge=1)
    generation_teachers: Literal["last", "all"] = "last"
    live: bool = False

    @model_validator(mode="after")
    def _has_one_loss(self) -> DistillConfig:
        one_of("temperature", self.temperature, "loss", self.loss)
        return self

    @model_validator(mode="after")
    def _has_generations_to_teach(self) -> DistillConfig:
        if self.generation_teachers == "all" and self.generations < 3:
            raise refusal(
                "generation_teachers: all does nothing below 3 generations; leave it out or raise generations"
            )
        return self
