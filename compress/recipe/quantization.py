"""The recipe's words for quantisation: how the student's numbers are stored, and what its files are called."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from compress.recipe.calls import Part
from compress.recipe.training import TrainConfig
from compress.recipe.wording import refusal
from compress.types import Json

Role = Literal["teacher", "student"]
Scheme = Literal[
    "float32", "float16", "static_int8", "qat_int8", "dynamic_int8", "weight_only_int8", "weight_only_int4"
]
FileFormat = Literal["onnx", "tflite"]

_PRECISION_IN_NAME: dict[Scheme, str] = {
    "float32": "float32",
    "float16": "float16",
    "static_int8": "int8",
    "qat_int8": "qat-int8",
    "dynamic_int8": "dynamic-int8",
    "weight_only_int8": "weight-only-int8",
    "weight_only_int4": "weight-only-int4",
}


def artifact_name(role: Role, scheme: Scheme, file_format: FileFormat) -> str:
    """What an artifact is called in budgets, reports and as a file: `student-int8.tflite`."""
    return f"{role}-{_PRECISION_IN_NAME[scheme]}.{file_format}"


_CALIBRATED: tuple[Scheme, ...] = ("static_int8", "qat_int8")
_OPTIONS: dict[str, tuple[tuple[Scheme, ...], str]] = {
    "calibration": (_CALIBRATED, "is not calibrated"),
    "clamp_dead_channels": (_CALIBRATED, "is not repaired"),
    "equalise": (_CALIBRATED, "is not repaired"),
    "rounding": (("static_int8",), "rounds to nearest"),
    "bias_correction": (("static_int8",), "is not repaired"),
    "train": (("qat_int8",), "does not train"),
    "block_size": (("weight_only_int4",), "has no blocks"),
}
"""Key -> the schemes that it means something to, and why it means nothing to the others."""


class QuantizeConfig(Part):
    """How the student's numbers are stored; in the file this mapping, or the scheme's name alone.

    calibration: how static_int8 and qat_int8 find the range of an activation. This and the repairs that follow are
        explained, with their papers, in compress.quantize.StaticInt8; each works alone, and all together.
    clamp_dead_channels: make channels that are always the same exactly that.
    equalise: bring channels that share a scale to like ranges.
    rounding: learnt decides for every weight of static_int8 whether to round up or down; takes minutes.
    bias_correction: take the mean error of rounding out of the biases of static_int8. qat_int8 has no use for the last
        two: its weights and biases are trained.
    train: how qat_int8 trains the student on, through the rounding of int8: a few epochs, at a hundredth of its
        learning rate, because batch norm is folded. It learns from the same teachers with the same loss as before,
        features apart, and always in float32.
    block_size: how many weights of weight_only_int4 share a scale (see compress.quantize.WeightOnlyInt4).
    """

    scheme: Scheme
    calibration: Literal["min_max", "percentile", "mse", "entropy"] = "min_max"
    clamp_dead_channels: bool = False
    equalise: bool = False
    rounding: Literal["nearest", "learnt"] = "nearest"
    bias_correction: Literal["analytic", "calibrated"] | None = None
    train: TrainConfig | None = None
    block_size: Literal[32, 64, 128, 256] = 32

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, entry: Json) -> Json:
        return {"scheme": entry} if isinstance(entry, str) else entry

    @model_validator(mode="after")
    def _has_options_of_its_own(self) -> QuantizeConfig:
        for key, (schemes, why) in _OPTIONS.items():
            if key in self.model_fields_set and self.scheme not in schemes:
                trained = self.scheme == "qat_int8" and key in ("rounding", "bias_correction")
                reason = "trains its weights and biases" if trained else why
                raise refusal(f"{self.scheme} {reason}; leave {key} out, or use {' or '.join(schemes)}")
        return self

    @model_validator(mode="after")
    def _says_how_it_trains(self) -> QuantizeConfig:
        if self.scheme == "qat_int8" and self.train is None:
            raise refusal(
                "qat_int8 trains the student on; add train, such as {epochs: 2, batch_size: 128, learning_rate: 0.001}"
            )
        return self
