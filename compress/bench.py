"""Measure any model file: its audit, latency on the host and on devices, exact instructions on emulated ARM64 cores.

The statistics are imported once there is something to describe: a file that is no model is refused at once.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compress.errors import ModelError, RecipeError
from compress.export.audit import audit_in_child
from compress.store import file_sha256
from compress.targets import Session, arm64, core_names, open_session
from compress.targets.adb import AdbDevice, Phone
from compress.targets.addresses import FORMS, DeviceOptions, is_address, read_address, refuse_idle_options
from compress.targets.answers import ModelInfo
from compress.targets.ssh import SshDevice, SshSession, open_device
from compress.types import Artifact, Format, Json, Measurement, Precision, TensorSpec

WARMUP = 10
MOST_ROUNDS = 5
"""Of a latency: its interval comes from the spread between them. Fewer, where the inferences cannot be shared out."""
MOST_VALUES = 1 << 26
FORMATS: dict[str, Format] = {".onnx": "onnx", ".ort": "ort", ".tflite": "tflite"}

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
    options: DeviceOptions | None = None,
) -> Bench:
    """Audit a file and measure it on each target, on one random input.

    Args:
        file: .onnx, .ort or .tflite, with one input.
        targets: `host`, names of emulated cores, or addresses of devices.
        home: where the ARM64 runtimes are kept; installed there if a core is asked for.
        inferences: timed on the host and on devices.
        threads: on the host and on devices.
        seed: of the random input, uniform in [0, 1) before quantisation.
        timeout_s: for one job on one target; the model counts as unusable after it.
        options: of the devices.

    Raises:
        RecipeError: an unknown target, an option is missing, or no target reads it.
        ModelError: the file is missing, is no model, or its runtime cannot open or run it.
        ToolError: the ARM64 runtimes cannot be had here, or a device is not reached.
    """
    targets = tuple(dict.fromkeys(targets))
    devices = _find_devices(targets, options or DeviceOptions(), timeout_s)
    _refuse_idle_threads(threads, {"host", *devices} & set(targets))
    if file.suffix not in FORMATS:
        raise ModelError(
            f"{file}: suffix is {file.suffix or 'missing'}; expected .onnx, .ort or .tflite; {_advise(file)}"
        )
    audit = audit_in_child(file)
    if not {"host", *devices} >= set(targets):
        arm64.install(home, lambda text: print(text, file=sys.stderr))
    measurements: list[Measurement] = []
    info = None
    for target in targets:
        device = devices.get(target)
        if isinstance(device, AdbDevice):
            measurements.append(_time_by_tool(device, file, inferences, threads))
            continue
        with open_device(device) if device else open_session(target, home, timeout_s=timeout_s) as session:
            info = session.describe(file)
            measurements += _measure(session, file, info, inferences, threads, seed)
    if info is None:
        with open_session("host", home, timeout_s=timeout_s) as session:
            info = session.describe(file)
    return Bench(artifact=_describe_file(file, audit, info), audit=audit, measurements=tuple(measurements))


def _describe_file(file: Path, audit: Json, info: ModelInfo) -> Artifact:
    return Artifact(
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


def _find_devices(
    targets: tuple[str, ...], options: DeviceOptions, timeout_s: float
) -> dict[str, SshDevice | AdbDevice]:
    """The devices among the targets; RecipeError for what is no target."""
    known = ("host", *core_names())
    for target in targets:
        if target not in known and not is_address(target):
            raise RecipeError(f"--target {target}: unknown; expected one of {', '.join(known)}, {FORMS}")
    devices = {target: read_address(target, options, timeout_s) for target in targets if is_address(target)}
    refuse_idle_options(options, devices.values())
    return devices


def _refuse_idle_threads(threads: int, timed: Collection[str]) -> None:
    if threads > 1 and not timed:
        raise RecipeError(
            f"--threads {threads}: no target reads it, for cores count one thread; expected host or a device beside it;"
            " add one, or leave it out"
        )


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
    stored = audit["weights_by_dtype"]
    if audit["format"] == "ort":
        return _read_operators(audit["ops"]) or _read_weights(stored)
    given = audit["ops_by_dtype"]
    if given and given.keys() <= {"int8", "uint8"}:
        return "static_int8"
    if "DynamicQuantizeLinear" in audit["ops"] or (audit["int8_ops"] and not given.keys() & {"int8", "uint8"}):
        return "dynamic_int8"
    if audit["int8_ops"]:
        return "mixed"
    return _read_weights(stored)


def _read_operators(ops: Json) -> Precision | Literal["mixed"] | None:
    """The same of ONNX Runtime's own operators; None where none of them computes on integers."""
    found = set(ops)
    if {"DynamicQuantizeLinear", "DynamicQuantizeMatMul"} & found:
        return "dynamic_int8"
    if "MatMulNBits" in found:
        return "weight_only_int4"
    if not any(each.startswith(("QLinear", "QGemm")) for each in found):
        return None
    return "mixed" if {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"} & found else "static_int8"


def _read_weights(stored: Json) -> Precision | Literal["mixed"]:
    return _SCHEMES.get(max(stored, key=stored.__getitem__, default="float32"), "mixed")


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


def _measure(
    session: Session, file: Path, info: ModelInfo, inferences: int, threads: int, seed: int
) -> tuple[Measurement, ...]:
    """Milliseconds where the target is real, counts where it is emulated."""
    sample = _random_input(file, info.inputs, seed)
    _refuse_dead(file, session.target, session.run(file, sample))
    if session.how == "native":
        return (_time(session, file, sample, inferences, threads, info.runtime),)
    return _count(session, file, sample, info.runtime)


def _time(
    session: Session, file: Path, sample: NDArray[np.generic], inferences: int, threads: int, runtime: str
) -> Measurement:
    from compress.measure.latency import latency
    from compress.measure.machine import machine_facts

    rounds = next(n for n in range(min(MOST_ROUNDS, inferences), 0, -1) if inferences % n == 0)
    n = inferences // rounds
    samples = [session.time(file, sample, warmup=WARMUP, n=n, threads=threads) for _ in range(rounds)]
    machine = session.machine if isinstance(session, SshSession) else machine_facts()
    details = {"threads": threads, "warmup": WARMUP, "machine": machine}
    return latency(file_sha256(file), samples, runtime=runtime, target=session.target, details=details)


def _time_by_tool(device: AdbDevice, file: Path, inferences: int, threads: int) -> Measurement:
    from compress.measure.latency import tool_latency

    with Phone(device) as phone:
        run = phone.benchmark(file, threads=threads, warmup=WARMUP, inferences=inferences)
    details = {"threads": threads, "warmup": WARMUP, "machine": phone.machine, "tool": [dataclasses.asdict(run)]}
    return tool_latency(
        file_sha256(file),
        [run.mean_ms * 1e6],
        [run.inferences],
        runtime=phone.runtime,
        target=device.name,
        details=details,
    )


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
