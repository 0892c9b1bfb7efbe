"""The parts of stacked bars: instruction classes, bytes of a file, milliseconds; each with its colour and words."""

from __future__ import annotations

PART_COLOURS = {
    "fmla": "#4a76a8",
    "fmla_fp32": "#4a76a8",
    "fmla_fp16": "#6f9fd0",
    "dot": "#c8553d",
    "mmla": "#a63a50",
    "mlal": "#dd8f52",
    "caches": "#3f8f82",
    "memory": "#82bdb0",
    "operators": "#6d7883",
    "vector_load": "#3f8f82",
    "vector_store": "#82bdb0",
    "vector_other": "#8a7bb0",
    "load": "#a5ab5b",
    "store": "#c9cd95",
    "integer": "#94a0ab",
    "branch": "#6d7883",
    "scalar_float": "#b79fc7",
    "other": "#c3c7cb",
    "weights": "#4a76a8",
    "biases": "#3f8f82",
    "quantization": "#c8553d",
    "graph": "#94a0ab",
    "metadata": "#c3c7cb",
}
PART_WORDS = {
    "fmla": "float multiply-add",
    "fmla_fp32": "float32 multiply-add",
    "fmla_fp16": "float16 multiply-add",
    "dot": "int8 dot product",
    "mmla": "int8 matrix multiply",
    "mlal": "widening multiply-add",
    "vector_other": "other vector",
    "integer": "integer, address",
    "caches": "second cache",
    "operators": "starts of operators",
    "depthwise": "depthwise convolutions",
    "products": "convolutions and matrix products",
}
_SPARE_COLOURS = ("#8a7bb0", "#dd8f52", "#a5ab5b", "#6f9fd0")


def choose_colour(part: str, at: int) -> str:
    """The part's own, or for one that nobody knows the next of some spare ones."""
    return PART_COLOURS.get(part) or _SPARE_COLOURS[at % len(_SPARE_COLOURS)]


def describe_part(part: str) -> str:
    """For a legend."""
    return PART_WORDS.get(part, part.replace("_", " ").strip())
