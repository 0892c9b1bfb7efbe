"""From the recipe's words for a scheme to the scheme itself."""

from __future__ import annotations

from compress.quantize import (
    DynamicInt8,
    Float16,
    Float32,
    LearntRounding,
    QATInt8,
    Scheme,
    StaticInt8,
    WeightOnlyInt4,
    WeightOnlyInt8,
)
from compress.recipe import QuantizeConfig


def read_scheme(config: QuantizeConfig) -> Scheme:
    """What the recipe's entry asks `quantize` to do."""
    match config.scheme:
        case "float32":
            return Float32()
        case "float16":
            return Float16()
        case "static_int8":
            return StaticInt8(
                calibration=config.calibration,
                clamp_dead_channels=config.clamp_dead_channels,
                equalise=config.equalise,
                rounding=LearntRounding() if config.rounding == "learnt" else None,
                bias_correction=config.bias_correction,
            )
        case "qat_int8":
            return read_qat_scheme(config)
        case "dynamic_int8":
            return DynamicInt8()
        case "weight_only_int8":
            return WeightOnlyInt8()
        case "weight_only_int4":
            return WeightOnlyInt4(block_size=config.block_size)


def read_qat_scheme(config: QuantizeConfig) -> QATInt8:
    """The same of an entry that trains."""
    return QATInt8(
        calibration=config.calibration, clamp_dead_channels=config.clamp_dead_channels, equalise=config.equalise
    )
