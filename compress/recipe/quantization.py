"""The recipe's words for quantisation: how the student's numbers are stored, and what its files are called."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from compress.recipe.rules import distinct
from compress.recipe.training import TrainConfig
from compress.strict_yaml import Part
from compress.strict_yaml.wording import refusal
from compress.types import MOST_SQNR_DB, Json, Precision

Role = Literal["teacher", "student"]
Scheme = Literal[Precision, "auto"]
FileFormat = Literal["onnx", "tflite"]

_PRECISION_IN_NAME: dict[Scheme, str] = {
    "float32": "float32",
    "float16": "float16",
    "static_int8": "int8",
    "mixed_int8": "mixed-int8",
    "qat_int8": "qat-int8",
    "dynamic_int8": "dynamic-int8",
    "weight_only_int8": "weight-only-int8",
    "weight_only_int4": "weight-only-int4",
    "auto": "auto",
}


def artifact_name(role: Role, scheme: Scheme, file_format: FileFormat) -> str:
    """What an artifact is called in budgets, reports and as a file: `student-int8.tflite`."""
    return f"{role}-{_PRECISION_IN_NAME[scheme]}.{file_format}"


_ROUNDED: tuple[Scheme, ...] = ("static_int8", "mixed_int8")
_CALIBRATED: tuple[Scheme, ...] = (*_ROUNDED, "qat_int8")
_OPTIONS: dict[str, tuple[tuple[Scheme, ...], str]] = {
    "calibration": (_CALIBRATED, "is not calibrated"),
    "clamp_dead_channels": (_CALIBRATED, "is not repaired"),
    "equalise": (_CALIBRATED, "is not repaired"),
    "rounding": (_ROUNDED, "rounds to nearest"),
    "bias_correction": (_ROUNDED, "is not repaired"),
    "exempt": (("mixed_int8",), "treats all layers alike"),
    "sqnr_db": (("mixed_int8",), "treats all layers alike"),
    "agreement": (("mixed_int8",), "treats all layers alike"),
    "train": (("qat_int8", "auto"), "does not train"),
    "block_size": (("weight_only_int4",), "has no blocks"),
    "accuracy_drop": (("auto",), "chooses nothing"),
}
"""Key -> the schemes that it means something to, and why it means nothing to the others."""


class QuantizeConfig(Part):
    """How the student's numbers are stored; in the file this mapping, or the scheme's name alone.

    calibration: how static_int8, mixed_int8 and qat_int8 find the range of an activation. This and the repairs that
        follow are explained, with their papers, in compress.quantize.StaticInt8; each works alone, and all together.
    clamp_dead_channels: make channels that are always the same exactly that.
    equalise: bring channels that share a scale to like ranges.
    rounding: learnt decides for every weight whether to round up or down; takes seconds to minutes.
    bias_correction: take the mean error of rounding out of the biases. qat_int8 has no use for the last two: its
        weights and biases are trained.
    sqnr_db, agreement: what mixed_int8 must keep on the calibration split, beside float: it leaves the fewest layers in
        float32 for which that holds (see compress.quantize.MixedInt8).
    exempt: instead, the layers that it leaves in float32, by their module paths.
    train: how qat_int8 trains the student on, through the rounding of int8: a few epochs, at a hundredth of its
        learning rate, because batch norm is folded. It learns from the same teachers with the same loss as before,
        features apart, and always in float32; one that brings weights, from the teacher or from itself in float. Given
        to auto, it allows that where no other int8 is accurate enough.
    block_size: how many weights of weight_only_int4 share a scale (see compress.quantize.WeightOnlyInt4).
    accuracy_drop: how much its files may lose against the teacher on the validation split, where auto chooses; what the
        recipe's budgets say of them counts too (see compress.stages.choose).
    """

    scheme: Scheme
    calibration: Literal["min_max", "percentile", "mse", "entropy"] = "min_max"
    clamp_dead_channels: bool = False
    equalise: bool = False
    rounding: Literal["nearest", "learnt"] = "nearest"
    bias_correction: Literal["analytic", "calibrated"] | None = None
    sqnr_db: float | None = Field(default=None, gt=0, le=MOST_SQNR_DB)
    agreement: float | None = Field(default=None, gt=0, le=1)
    exempt: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(distinct)] = ()  # a list: see _spell_out
    train: TrainConfig | None = None
    block_size: Literal[32, 64, 128, 256] = 32
    accuracy_drop: float | None = Field(default=None, ge=0, lt=1)

    @property
    def chooses(self) -> bool:
        """Whether a run decides which scheme this is."""
        return self.scheme == "auto"

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, entry: Json) -> Json:
        return {"scheme": entry} if isinstance(entry, str) else entry

    @model_validator(mode="after")
    def _has_options_of_its_own(self) -> QuantizeConfig:
        for key, (schemes, why) in _OPTIONS.items():
            if key in self.model_fields_set and self.scheme not in schemes:
                reason = "decides that itself" if self.chooses else why
                if self.scheme == "qat_int8" and key in ("rounding", "bias_correction"):
                    reason = "trains its weights and biases"
                others = " or ".join(filter(None, (", ".join(schemes[:-1]), schemes[-1])))
                raise refusal(f"{self.scheme} {reason}; leave {key} out, or use {others}")
        return self

    @model_validator(mode="after")
    def _says_what_it_exempts(self) -> QuantizeConfig:
        budget = [key for key in ("sqnr_db", "agreement") if getattr(self, key) is not None]
        if self.scheme == "mixed_int8" and not budget and not self.exempt:
            raise refusal("mixed_int8 needs a budget or names; add sqnr_db, such as 24, agreement, or exempt: [layers]")
        if budget and self.exempt:
            raise refusal(
                f"exempt names the layers that stay in float, and {budget[0]} would choose them; leave one out"
            )
        return self

    @model_validator(mode="after")
    def _says_how_it_trains(self) -> QuantizeConfig:
        if self.scheme == "qat_int8" and self.train is None:
            raise refusal(
                "qat_int8 trains the student on; add train, such as {epochs: 2, batch_size: 128, learning_rate: 0.001}"
            )
        return self
