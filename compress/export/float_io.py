"""float32 in and out of an int8 TFLite file, for applications that quantise nothing themselves."""

from __future__ import annotations

from compress.export.tflite_file import BUILTIN, TYPE, TfliteFile
from compress.export.tidy_tflite import tidy

INT8_DEQUANTIZE = 2
"""The first version of DEQUANTIZE that takes int8."""


def to_float_io(content: bytes) -> bytes:
    """The same model with a QUANTIZE before it and a DEQUANTIZE behind it; a float end stays as it is.

    Args:
        content: a TFLite file as `compress.export.export` writes it.
    """
    file = TfliteFile(content)
    for stored in map(int, file.graph.inputs):
        if file.graph.tensors[stored].type == TYPE.INT8:
            real = _add_twin(file, stored)
            file.insert_before(file.graph.operators[0], BUILTIN.QUANTIZE, real, stored)
    for stored in map(int, file.graph.outputs):
        if file.graph.tensors[stored].type == TYPE.INT8:
            file.append(BUILTIN.DEQUANTIZE, stored, _add_twin(file, stored), INT8_DEQUANTIZE)
    return tidy(file.pack())


def _add_twin(file: TfliteFile, stored: int) -> int:
    """A float tensor that takes the place of an int8 one as an end of the graph."""
    real = file.add_value(file.graph.tensors[stored].shape, TYPE.FLOAT32)
    file.replace_end(stored, real)
    return real
