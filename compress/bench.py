"""Measure any model file: its audit, latency on the host, exact instructions on emulated ARM64 cores.

The statistics are imported once there is something to describe: a file that is no model is refused at once.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compress.errors import ModelError, RecipeError
from compress.export.audit import audit_in_child
from compress.store import file_sha256
from compress.targets import Session, arm64, core_names, open_session
from compress.types import Artifact, Format, Json, Measurement, Precision, TensorSpec

WARMUP = 10
MOST_ROUNDS = 5
"""Of a latency: its interval comes from the spread between them. Fewer, where the inferences cannot be shared out."""
MOST_VALUES = 1 << 26
FORMATS: dict[str, Format] = {".onnx": "onnx", ".tflite": "tflite"}

_SCHEMES: Mapping[str, Precision] = {
    "float32": "float32",
    "float16": "float16",
    "int8": "weight_only_int8",
    "uint8": "weight_only_int8",
    "int4": "weight_only_int4",
    "uint4": "weight_only_int4",
}
"""Where no operator computes on integers: in what the weights are stored -> what that is called."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What was found out about one file."""

    artifact: Artifact
    audit: Json
    measurements: tuple[Measurement, ...]


def bench_file(
    file: Path,
    targets: tuple[str, ...],
    home: Path,
    *,
    inferences: int,
    threads: int,
    seed: int,
    timeout_s: float,
) -> Bench:
    """Audit a file and measure it on each target, on one random input.

    Args:
        file: .onnx or .tflite, with one input.
        targets: `host` or names of emulated cores.
        home: where the ARM64 runtimes are kept; installed there if a core is asked for.
        inferences: timed on the host.
        threads: on the host.
        seed: of the random input, uniform in [0, 1) before quantisation.
        timeout_s: for one job on one target; the model counts as unusable after it.

    Raises:
        RecipeError: an unknown target.
        ModelError: the file is missing, is no model, or its runtime cannot open or run it.
        ToolError: the ARM64 runtimes cannot be had here.
    """
    known = ("host", *core_names())
    targets = tuple(dict.fromkeys(targets))
    for target in targets:
        if target not in known:
            raise RecipeError(f"--target {target}: unknown; expected one of {', '.join(known)}")
    if file.suffix not in FORMATS:
        raise ModelError(f"{file}: suffix is {file.suffix or 'missing'}; expected .onnx or .tflite; {_advise(file)}")
    audit = audit_in_child(file)
    if set(targets) != {"host"}:
        arm64.install(home, lambda text: print(text, file=sys.stderr))
    measurements: list[Measurement] = []
    for target in targets:
        with open_session(target, home, timeout_s=timeout_s) as session:
            info = session.describe(file)
            sample = _random_input(file, info.inputs, seed)
            _refuse_dead(file, target, session.run(file, sample))
            if session.how == "native":
                measurements.append(_time(session, file, sample, inferences, threads, info.runtime))
            else:
                measurements += _count(session, file, sample, info.runtime)
    artifact = Artifact(
        name=file.name,
        role="file",
        path=str(file),
        format=FORMATS[file.suffix],
        precision=_precision(audit),
        sha256=file_sha256(file),
        size_bytes=file.stat().st_size,
        inputs=info.inputs,
        outputs=info.outputs,
    )
    return Bench(artifact=artifact, audit=audit, measurements=tuple(measurements))


def _refuse_dead(file: Path, target: str, outputs: NDArray[np.generic]) -> None:
    """A model that computes NaN is as fast as any: its figures would be believed."""
    bad = outputs.size - int(np.isfinite(outputs).sum())
    if bad:
        raise ModelError(
            f"{file} on {target}: {bad} of {outputs.size} output values are not finite; expected finite outputs of a"
            " random input in [0, 1); look for NaN weights, or for an input that is meant to be scaled otherwise"
        )


def _advise(file: Path) -> str:
    if file.suffix == ".safetensors":
        return "weights alone run nowhere: name a model file that was made of them"
    if file.suffix in (".pt", ".pth"):
        return "export the model first; `compress run` does, from weights too"
    return "if it is a model in one of these formats, rename it"


def _precision(audit: Json) -> Precision | Literal["mixed"]:
    """The scheme that such a file comes from: what its operators give, and in what most of its weights are stored."""
    given, stored = audit["ops_by_dtype"], audit["weights_by_dtype"]
    if given and given.keys() <= {"int8", "uint8"}:
        return "static_int8"
    if "DynamicQuantizeLinear" in audit["ops"] or (audit["int8_ops"] and not given.keys() & {"int8", "uint8"}):
        return "dynamic_int8"
    if audit["int8_ops"]:
        return "mixed"
    return _SCHEMES.get(max(stored, key=stored.__getitem__, default="float32"), "mixed")


def _describe_macs(audit: Json) -> str:
    unknown = audit["unknown_ops"]
    if not unknown:
        return f"{audit['macs']:,} MACs"
    kinds = ", ".join(f"{count} {kind}" for kind, count in unknown.items())
    return f"at least {audit['macs']:,} MACs (unknown: those of {kinds})"


def print_bench(bench: Bench, console: Console, *, as_json: bool) -> None:
    """A table for a person, or JSON for a program."""
    if as_json:
        print(json.dumps(dataclasses.asdict(bench), indent=1, sort_keys=True, allow_nan=False))
        return
    audit = bench.audit
    console.print(
        f"[bold]{escape(bench.artifact.name)}[/]  {bench.artifact.size_bytes:,} bytes,"
        f" {audit['parameters']:,} parameters, {_describe_macs(audit)}, {audit['int8_op_share']:.0%} int8 operators",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    for column in ("target", "runtime", "what", "value"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for measurement in bench.measurements:
        for what, value in _lines(measurement):
            table.add_row(measurement.target, measurement.runtime, what, value)
    console.print(table, highlight=False)


def _lines(measurement: Measurement) -> list[tuple[str, str]]:
    details = measurement.details
    if measurement.metric == "latency_ms":
        threads = f"{details['threads']} thread" + ("s" if details["threads"] > 1 else "")
        return [(f"{p}, {threads}, n={measurement.n}", f"{details[p]:.3f} ms") for p in ("p50", "p90", "p99")]
    what = {"instructions": "instructions", "executed_macs": "executed MACs"}[measurement.metric]
    return [(f"{what} of one inference", f"{measurement.value:,.0f}")]


def _random_input(file: Path, inputs: tuple[TensorSpec, ...], seed: int) -> NDArray[np.generic]:
    if len(inputs) != 1:
        raise ModelError(
            f"{file}: {len(inputs)} inputs ({', '.join(spec.name for spec in inputs)}); expected one; split the model"
        )
    spec = inputs[0]
    shape = [size if size is not None else 1 for size in spec.shape]
    if np.dtype(spec.dtype).kind not in "fiub" or math.prod(shape) > MOST_VALUES:
        raise ModelError(
            f"{file}: input {spec.name} is {spec.dtype} of shape {spec.shape}; expected numbers, at most"
            f" {MOST_VALUES:,} of them; bench image models"
        )
    values = np.random.default_rng(seed).random(shape, dtype=np.float32)
    if spec.scale is not None and spec.zero_point is not None:
        limits = np.iinfo(spec.dtype)
        return np.clip(np.rint(values / spec.scale) + spec.zero_point, limits.min, limits.max).astype(spec.dtype)
    return values.astype(spec.dtype)


def _time(
    session: Session, file: Path, sample: NDArray[np.generic], inferences: int, threads: int, runtime: str
) -> Measurement:
    from compress.measure.latency import latency
    from compress.measure.machine import machine_facts

    rounds = next(n for n in range(min(MOST_ROUNDS, inferences), 0, -1) if inferences % n == 0)
    n = inferences // rounds
    samples = [session.time(file, sample, warmup=WARMUP, n=n, threads=threads) for _ in range(rounds)]
    details = {"threads": threads, "warmup": WARMUP, "machine": machine_facts()}
    return latency(file_sha256(file), samples, runtime=runtime, target="host", details=details)


def _count(session: Session, file: Path, sample: NDArray[np.generic], runtime: str) -> tuple[Measurement, ...]:
    from compress.measure.latency import counts

    found = session.count(file, sample)
    return counts(
        file_sha256(file),
        instructions=found.instructions,
        executed_macs=found.executed_macs,
        by_class=found.by_class,
        repeats=found.repeats,
        runtime=runtime,
        target=session.target,
    )
