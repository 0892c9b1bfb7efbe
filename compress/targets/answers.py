"""What a session finds out about a model file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from compress.types import Json, TensorSpec


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a runtime says about a model file. runtime: name and version, e.g. `litert 2.3.0`."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    runtime: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What one steady-state inference executes on an emulated core.

    instructions: the least of `repeats`, which are the counts of successive inferences.
    executed_macs: multiply-accumulates of its instructions, those on padding included.
    by_class: instructions by class (`fmla_fp32`, `dot`, `vector_load`, ...); their sum is `instructions`.
    """

    instructions: int
    executed_macs: int
    by_class: Mapping[str, int]
    repeats: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Instructions that are executed one after the other, from a jump's target to the next jump.

    executions: how often.
    words: the instructions, 32 bits each.
    """

    executions: int
    words: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What passes between a cache and the next level, in lines of 64 bytes: fetched, and written back."""

    misses: int
    writebacks: int


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one steady-state inference executes, block by block, and what the core's caches make of its accesses.

    traffic: of each level of cache, the one next to the core first.
    """

    blocks: tuple[Block, ...]
    traffic: tuple[Traffic, ...]


def parse_model_info(answer: Json, runtime: str) -> ModelInfo:
    """The worker's answer to a `describe` job."""
    return ModelInfo(inputs=_parse_specs(answer["inputs"]), outputs=_parse_specs(answer["outputs"]), runtime=runtime)


def _parse_specs(content: Json) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(**{**spec, "shape": tuple(spec["shape"])}) for spec in content)


def parse_counts(report: str) -> Counts:
    """The counter's report: one JSON line per inference, at least one."""
    lines = [json.loads(line) for line in report.splitlines()]
    totals = [sum(line["by_class"].values()) for line in lines]
    least = lines[totals.index(min(totals))]
    return Counts(
        instructions=min(totals),
        executed_macs=least["macs"],
        by_class=least["by_class"],
        repeats=tuple(totals),
    )


def parse_profile(report: str) -> Profile:
    """The counter's report while profiling: of its last line, when the caches have seen all before it."""
    line = json.loads(report.splitlines()[-1])
    return Profile(
        blocks=tuple(Block(executions=count, words=_parse_words(text)) for count, text in line["blocks"]),
        traffic=tuple(Traffic(**level) for level in line["caches"]),
    )


def read_profile(content: Json) -> Profile:
    """As `dataclasses.asdict` has written it."""
    return Profile(
        blocks=tuple(Block(executions=each["executions"], words=tuple(each["words"])) for each in content["blocks"]),
        traffic=tuple(Traffic(**level) for level in content["traffic"]),
    )


def _parse_words(text: str) -> tuple[int, ...]:
    return tuple(int(text[at : at + 8], 16) for at in range(0, len(text), 8))
