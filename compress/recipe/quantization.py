"""The recipe's words for quantisation: how the student's numbers are stored, and what its files are called."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from compress.recipe.calls import Part
from compress.recipe.training import TrainConfig
from compress.recipe.wording import refusal
from compress.types import INTEGERS, Json

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


class QuantizeConfig(Part):
    """How the student's numbers are stored; in the file this mapping, or the scheme's name alone.

    calibration: how static_int8 and qat_int8 find the range of an activation (see compress.quantize.StaticInt8).
    train: how qat_int8 trains the student on, through the rounding of int8: a few epochs, at a hundredth of its
        learning rate, because batch norm is folded. It learns from the same teachers with the same loss as before,
        features apart, and always in float32.
    block_size: how many weights of weight_only_int4 share a scale (see compress.quantize.WeightOnlyInt4).
    """

    scheme: Scheme
    calibration: Literal["min_max", "percentile"] = "min_max"
    train: TrainConfig | None = None
    block_size: Literal[32, 64, 128, 256] = 32

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, entry: Json) -> Json:
        return {"scheme": entry} if isinstance(entry, str) else entry

    @model_validator(mode="after")
    def _calibrates_integers_alone(self) -> QuantizeConfig:
        if self.scheme not in INTEGERS and "calibration" in self.model_fields_set:
            raise refusal(f"{self.scheme} is not calibrated; write {self.scheme} alone")
        return self

    @model_validator(mode="after")
    def _trains_through_rounding_alone(self) -> QuantizeConfig:
        if self.scheme == "qat_int8" and self.train is None:
            raise refusal(
                "qat_int8 trains the student on; add train, such as {epochs: 2, batch_size: 128, learning_rate: 0.001}"
            )
        if self.scheme != "qat_int8" and self.train is not None:
            raise refusal(f"{self.scheme} does not train; write {self.scheme} alone, or qat_int8")
        return self

    @model_validator(mode="after")
    def _has_blocks_in_4_bits_alone(self) -> QuantizeConfig:
        if self.scheme != "weight_only_int4" and "block_size" in self.model_fields_set:
            raise refusal(f"{self.scheme} has no blocks; write {self.scheme} alone, or weight_only_int4")
        return self
