"""A torch model in, a quantised torch graph out."""

from compress.quantize.quantize import QuantizedGraph, finish, prepare, quantize
from compress.quantize.schemes import Float16, Float32, Scheme, StaticInt8
from compress.quantize.sensitivity import Sensitivity, measure_sensitivity
from compress.quantize.trainable import TrainableGraph

__all__ = [
    "Float16",
    "Float32",
    "QuantizedGraph",
    "Scheme",
    "Sensitivity",
    "StaticInt8",
    "TrainableGraph",
    "finish",
    "measure_sensitivity",
    "prepare",
    "quantize",
]
