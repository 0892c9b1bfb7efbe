"""A torch model in, a quantised torch graph out."""

from compress.quantize.quantize import QuantizedGraph, quantize
from compress.quantize.rounding import LearntRounding
from compress.quantize.schemes import Float16, Float32, Scheme, StaticInt8

__all__ = ["Float16", "Float32", "LearntRounding", "QuantizedGraph", "Scheme", "StaticInt8", "quantize"]
