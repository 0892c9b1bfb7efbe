"""The recipe's words for variants: more files of the same numbers, each made from one of the files of `formats`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import ValidationInfo

from compress.recipe.quantization import FileFormat, QuantizeConfig, Scheme
from compress.recipe.rules import distinct
from compress.strict_yaml.wording import refusal
from compress.types import CALIBRATED, Precision

Variant = Literal["ort", "unsigned", "float_io"]


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """source: the format that it is made from; schemes: of those files; ending: of its name.

    What `auto` will choose is not known before the run.
    """

    source: FileFormat
    schemes: tuple[Scheme | Precision, ...]
    ending: str


_KINDS: dict[Variant, _Kind] = {
    "ort": _Kind(source="onnx", schemes=get_args(Scheme), ending=".ort"),
    "unsigned": _Kind(source="onnx", schemes=(*CALIBRATED, "dynamic_int8", "auto"), ending="-unsigned.onnx"),
    "float_io": _Kind(source="tflite", schemes=(*CALIBRATED, "auto"), ending="-float-io.tflite"),
}


def has_variant(variant: Variant, precision: Scheme | Precision | Literal["mixed"], file_format: str) -> bool:
    """Whether the variant is made of such a file."""
    return file_format == _KINDS[variant].source and precision in _KINDS[variant].schemes


def variant_name(variant: Variant, source: str) -> str:
    """What it is called, after the file that it is made from: `student-int8-unsigned.onnx`."""
    return source.removesuffix(f".{_KINDS[variant].source}") + _KINDS[variant].ending


def makeable(variants: tuple[Variant, ...], info: ValidationInfo) -> tuple[Variant, ...]:
    """Each is listed once, and the recipe makes a file to make it from."""
    formats: tuple[FileFormat, ...] | None = info.data.get("formats")
    quantize: tuple[QuantizeConfig, ...] | None = info.data.get("quantize")
    if formats is None or quantize is None:  # mistakes there come first
        return distinct(variants)
    for variant in distinct(variants):
        kind = _KINDS[variant]
        if kind.source not in formats:
            raise refusal(
                f"{variant} is made from .{kind.source} files, and formats does not list {kind.source}; add it, or"
                f" leave {variant} out"
            )
        if variant != "ort" and not any(entry.scheme in kind.schemes for entry in quantize):  # the teacher has one
            raise refusal(
                f"{variant} is made from integer files, and quantize lists none of {', '.join(kind.schemes)}; add one,"
                f" or leave {variant} out"
            )
    return variants
