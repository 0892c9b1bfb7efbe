"""What each layer that mixed_int8 leaves in float costs: the files are made once more with that layer on integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from compress.errors import ToolError
from compress.quantize import MixedInt8, Scheme, StaticInt8
from compress.stages.context import Run
from compress.stages.emulate import count, find_runtimes
from compress.stages.export import Exported, export_model
from compress.stages.trained import Trained
from compress.types import Format

_FORMATS: Mapping[Format, str] = {"onnx": "ONNX", "tflite": "TFLite"}


def price_exemptions(
    run: Run, student: Trained, scheme: Scheme, exported: tuple[Exported, ...]
) -> tuple[Exported, ...]:
    """The same files, and after the reason of each exemption its price in bytes and instructions.

    Instructions are those on the recipe's first emulated core; without one the reason has multiply-accumulates.

    Args:
        run: the run.
        student: trained in float.
        scheme: that the files were made by.
        exported: files of one graph, one a format.
    """
    names = exported[0].quantization.get("exempt", ())
    if not names or not isinstance(scheme, StaticInt8):
        return exported
    with run.progress.stage(
        f"find what {len(names)} exemption{'s' if len(names) > 1 else ''} cost, each left out once"
    ):
        prices = [_price(run, student, _without(scheme, names, name), exported) for name in names]
    left = _append(exported[0].quantization["left_in_float"], prices)
    return tuple(
        dataclasses.replace(each, quantization={**each.quantization, "left_in_float": left}) for each in exported
    )


def _without(scheme: StaticInt8, names: Sequence[str], name: str) -> StaticInt8:
    """The scheme with one exemption less; how weights are rounded changes neither bytes nor instructions."""
    options = {each.name: getattr(scheme, each.name) for each in dataclasses.fields(StaticInt8)} | {"rounding": None}
    others = tuple(each for each in names if each != name)
    return MixedInt8(**options, exempt=others) if others else StaticInt8(**options)


def _price(run: Run, student: Trained, scheme: StaticInt8, exported: tuple[Exported, ...]) -> str:
    others = export_model(run, student, scheme, 1)
    sizes = {
        each.artifact.format: each.artifact.size_bytes - other.artifact.size_bytes
        for each, other in zip(exported, others, strict=True)
    }
    core, counts = _count(run, (*exported, *others))
    instructions = {
        each.artifact.format: counts[each.artifact.sha256] - counts[other.artifact.sha256]
        for each, other in zip(exported, others, strict=True)
        if {each.artifact.sha256, other.artifact.sha256} <= counts.keys()
    }
    price = f"; in all {_tell(sizes, 'bytes')}"
    return f"{price}; {_tell(instructions, f'instructions on {core}')}" if instructions else price


def _count(run: Run, files: Sequence[Exported]) -> tuple[str, dict[str, int]]:
    """The core, and sha256 -> instructions; none where there is no core, or it cannot be emulated."""
    config = run.recipe.benchmark.arm64
    if config is None:
        return "", {}
    core = config.cores[0]
    try:
        find_runtimes(run)
        found, _ = count(run, (core,), files, run.task.validation)
    except ToolError:  # said where the files themselves are measured
        return core, {}
    return core, {each.exported.artifact.sha256: each.counts["instructions"] for each in found}


def _tell(differences: Mapping[Format, int], unit: str) -> str:
    """`+1,120 bytes in ONNX and +1,096 in TFLite`."""
    (first, number), *rest = ((_FORMATS[fmt], number) for fmt, number in differences.items())
    return " and ".join((f"{number:+,} {unit} in {first}", *(f"{other:+,} in {fmt}" for fmt, other in rest)))


def _append(left: Sequence[Mapping[str, str]], prices: Sequence[str]) -> list[dict[str, str]]:
    """Both are in graph order, and other reasons do not begin as those of exemptions do."""
    waiting = iter(prices)
    return [
        {**each, "reason": each["reason"] + next(waiting)} if each["reason"].startswith("exempt ") else dict(each)
        for each in left
    ]
