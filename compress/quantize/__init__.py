"""A torch model in, a quantised torch graph out."""

from compress.quantize.calibration_set import check_calibration
from compress.quantize.quantize import QuantizedGraph, check_exemptions, finish, prepare, quantize
from compress.quantize.rounding import LearntRounding
from compress.quantize.schemes import (
    DynamicInt8,
    Float16,
    Float32,
    MixedInt8,
    QATInt8,
    Scheme,
    StaticInt8,
    WeightOnlyInt4,
    WeightOnlyInt8,
)
from compress.quantize.sensitivity import Sensitivity, measure_sensitivity, measure_whole
from compress.quantize.trainable import TrainableGraph

__all__ = [
    "DynamicInt8",
    "Float16",
    "Float32",
    "LearntRounding",
    "MixedInt8",
    "QATInt8",
    "QuantizedGraph",
    "Scheme",
    "Sensitivity",
    "StaticInt8",
    "TrainableGraph",
    "WeightOnlyInt4",
    "WeightOnlyInt8",
    "check_calibration",
    "check_exemptions",
    "finish",
    "measure_sensitivity",
    "measure_whole",
    "prepare",
    "quantize",
]
