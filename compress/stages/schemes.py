"""From the recipe's words for a scheme to the scheme itself."""

from __future__ import annotations

import dataclasses

from compress.quantize import (
    DynamicInt8,
    Float16,
    Float32,
    LearntRounding,
    MixedInt8,
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
            return read_static_scheme(config)
        case "mixed_int8":
            static = {
                each.name: getattr(read_static_scheme(config), each.name) for each in dataclasses.fields(StaticInt8)
            }
            return MixedInt8(**static, exempt=config.exempt, sqnr_db=config.sqnr_db, agreement=config.agreement)
        case "qat_int8":
            return read_qat_scheme(config)
        case "dynamic_int8":
            return DynamicInt8()
        case "weight_only_int8":
            return WeightOnlyInt8()
        case "weight_only_int4":
            return WeightOnlyInt4(block_size=config.block_size)
        case "auto":
            raise ValueError("auto is no scheme; choose_scheme finds out which it is")


def read_static_scheme(config: QuantizeConfig) -> StaticInt8:
    """The same of an entry that rounds after calibration, with all layers alike."""
    return StaticInt8(
        calibration=config.calibration,
        clamp_dead_channels=config.clamp_dead_channels,
        equalise=config.equalise,
        rounding=LearntRounding() if config.rounding == "learnt" else None,
        bias_correction=config.bias_correction,
    )


def read_qat_scheme(config: QuantizeConfig) -> QATInt8:
    """The same of an entry that trains."""
    return QATInt8(
        calibration=config.calibration, clamp_dead_channels=config.clamp_dead_channels, equalise=config.equalise
    )
