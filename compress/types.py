"""The nouns that every stage speaks: frozen, keyword-only, JSON-able.

`results.json` is a `Results`; every report is drawn from it alone. This module imports nothing outside the standard
library, because the gate, the report and the workers must start fast.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

SCHEMA_VERSION = 2

Format = Literal["onnx", "tflite", "ort", "safetensors"]
Precision = Literal[
    "float32",
    "float16",
    "static_int8",
    "mixed_int8",
    "qat_int8",
    "dynamic_int8",
    "weight_only_int8",
    "weight_only_int4",
]
INTEGERS: tuple[Precision, ...] = ("static_int8", "qat_int8")
"""Integer arithmetic from input to output: the same integers in both formats, and on every machine."""
CALIBRATED: tuple[Precision, ...] = (*INTEGERS, "mixed_int8")
"""Ranges of activations come from the calibration split, and the graph says which of its values are integers."""
How = Literal["native", "emulated", "predicted", "static"]
Status = Literal["PASS", "FAIL", "MISSING"]
Json = Any
"""Anything `json.dumps` takes without a default."""

METRICS: Mapping[str, str] = {
    "accuracy": "fraction",
    "macro_f1": "fraction",
    "accuracy_drop": "fraction",  # reference minus this artifact, on the same images; positive = worse
    "gap_recovered": "ratio",  # (student - student alone) / (teacher - student alone), accuracies on the same images
    "agreement": "fraction",  # share of images with the same class; against what: compress.measure.comparison
    "max_abs_difference": "logits",  # largest absolute difference; against what: compress.measure.comparison
    "sqnr_db": "dB",  # signal to noise of the logits, within ±MOST_SQNR_DB; against what: compress.measure.comparison
    "bit_exact": "fraction",  # share of images with equal logits; against what: compress.measure.comparison
    "runs": "fraction",  # 1 if the file runs on an emulated core, 0 if it dies there, of an illegal instruction say
    "compatible": "fraction",  # 1 if tflite-runtime 2.14 computes what LiteRT does, 0 if it fails or is silently wrong
    "parameters": "count",
    "macs": "count",  # multiply-accumulates of one inference, read from the graph
    "executed_macs": "count",  # multiply-accumulates of one inference, from the executed opcodes
    "instructions": "count",  # ARM64 instructions of one steady-state inference
    "latency_ms": "ms",  # wall time of one inference on a real target; the median (p50) where samples are known
    "predicted_latency_ms": "ms",  # of one inference on a phone that is not at hand; compress.targets.latency
    "size_bytes": "bytes",
    "int8_op_share": "fraction",  # share of compute operators that run on integers
    "conversions": "count",  # quantisations and dequantisations at run time, read from the graph
    "transposes": "count",  # read from the graph
}
"""Every metric and its unit."""

MOST_SQNR_DB = 200.0
"""The `sqnr_db` of outputs that are identical, and so have no noise: beyond what float32 can resolve (about 150 dB)."""

FEWEST_ROUNDS = 3
"""For the interval of a latency. Of two it would be 12.7 standard errors wide: 0.0002 to 7.7 ms in a real run."""


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One input or output of a model file.

    shape: with the batch dimension first; None where it is dynamic.
    dtype: NumPy's name.
    scale, zero_point: real = scale * (stored - zero_point); None for float tensors.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A model file. Its identity is `sha256`, never its name.

    name: what reports call it, e.g. `student-int8.tflite`.
    role: which model of the run it holds: `teacher`, `student`, `student_alone`; `file` for a user's own.
    path: relative to the run's folder (POSIX), or as the user gave it.
    precision: `mixed` for a user's own that is none of the others whole.
    parent: sha256 of the artifact it was made from, None for a trained one: the weights, for a variant the model file.
    """

    name: str
    role: str
    path: str
    format: Format
    precision: Precision | Literal["mixed"]
    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    parent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measured number, with what it takes to believe it.

    metric: a key of METRICS; unit must be METRICS[metric].
    value: finite. For `latency_ms` the median of `samples`; where a tool took them and kept only their mean, that
        mean, and `details["statistic"]` is `mean`.
    samples: the raw observations, where there are several and they are known; value's unit.
    n: how many observations (images, inferences) stand behind the value.
    interval: 95 % interval (low, high), where one is known; of a prediction that of `details["confidence"]`, None where
        nothing published tests it.
    artifact: sha256 of what was measured.
    reference: sha256 of what it was compared with, for differences and agreements.
    runtime: e.g. `litert 2.3.0`, `onnxruntime 1.32.0`, `torch 2.13.0`; `file` for static figures.
    target: `host`, the emulated core, e.g. `cortex-a76`, or the recipe's name of a device or phone.
    split: which split of the task the images came from, where images were used.
    details: anything else worth keeping (instruction classes, percentiles, threads); JSON-able.
    """

    metric: str
    unit: str
    value: float
    n: int
    artifact: str
    runtime: str
    target: str
    how: How
    samples: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    reference: str | None = None
    split: str | None = None
    details: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}; known: {', '.join(METRICS)}")
        if self.unit != METRICS[self.metric]:
            raise ValueError(f"{self.metric} is measured in {METRICS[self.metric]}, not in {self.unit!r}")
        if self.how not in get_args(How):
            raise ValueError(f"how must be one of {get_args(How)}, got {self.how!r}")
        numbers = [self.value, *self.samples, *(self.interval or ())]
        if not all(math.isfinite(x) for x in numbers):
            raise ValueError(f"{self.metric} of artifact {self.artifact[:12]} is not finite: {self.value}")
        if self.how == "emulated" and self.metric == "latency_ms":
            raise ValueError("emulated wall time is not a latency")
        if (self.how == "predicted") != (self.metric == "predicted_latency_ms"):
            raise ValueError(f"{self.metric} is not {self.how}: what is predicted has a metric of its own")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A limit from the recipe.

    artifact: glob over artifact names (`student-int8.*`); every match must keep the limit, no match is MISSING.
    target: which target's measurement is meant; None: the measurements that name `host` or are static.
    runtime: glob over runtimes, None for any.
    at_most, at_least: exactly one is set.
    relative_to: glob over artifact names; the limit then holds for the ratio value / reference value, where the
        reference has the same format as the artifact.
    judge: `estimate` compares the value, `interval` the unfavourable end of its interval; a prediction is always
        judged at that end.
    line: where it stands in the recipe, for messages.
    """

    metric: str
    artifact: str
    target: str | None = None
    runtime: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    relative_to: str | None = None
    judge: Literal["estimate", "interval"] = "estimate"
    line: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one budget on one artifact.

    value: what was judged (the ratio, for a relative budget), None if MISSING.
    limit: the budget's limit.
    excess: by how much the limit is exceeded, in the unit of value; 0 where it is kept, None if MISSING.
    reason: one sentence for a person.
    """

    budget: Budget
    status: Status
    artifact: str
    value: float | None
    limit: float
    excess: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything a run found out; written as results.json.

    provenance: recipe text and hash, versions, machine facts, seeds, stage keys; JSON-able.
    audits: artifact sha256 -> the audit of its graph (see compress.export.audit).
    notes: what a reader must know, one sentence each (what is missing and why).
    """

    name: str
    artifacts: tuple[Artifact, ...]
    measurements: tuple[Measurement, ...]
    verdicts: tuple[Verdict, ...]
    audits: Mapping[str, Json]
    provenance: Mapping[str, Json]
    notes: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Text of results.json: sorted keys, no NaN, newline at the end."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Results:
        """Inverse of `to_json`.

        Raises:
            ValueError: not JSON, another schema_version, or fields that do not fit.
        """
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.get("schema_version") != SCHEMA_VERSION:
            version = raw.get("schema_version") if isinstance(raw, dict) else None
            raise ValueError(f"schema_version is {version!r}, this version of compress reads {SCHEMA_VERSION}")
        try:
            raw["artifacts"] = tuple(_artifact(a) for a in raw["artifacts"])
            raw["measurements"] = tuple(_measurement(m) for m in raw["measurements"])
            raw["verdicts"] = tuple(Verdict(**{**v, "budget": Budget(**v["budget"])}) for v in raw["verdicts"])
            raw["notes"] = tuple(raw["notes"])
            return Results(**raw)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"results do not fit schema_version {SCHEMA_VERSION}: {error}") from error

    @staticmethod
    def load(path: Path) -> Results:
        """Read results.json; ValueError as in `from_json`, OSError if it cannot be read."""
        return Results.from_json(path.read_text(encoding="utf-8"))


def _artifact(raw: dict[str, Json]) -> Artifact:
    specs = {
        key: tuple(TensorSpec(**{**spec, "shape": tuple(spec["shape"])}) for spec in raw[key])
        for key in ("inputs", "outputs")
    }
    return Artifact(**{**raw, **specs})


def _measurement(raw: dict[str, Json]) -> Measurement:
    interval = raw["interval"]
    return Measurement(
        **{**raw, "samples": tuple(raw["samples"]), "interval": tuple(interval) if interval is not None else None}
    )
