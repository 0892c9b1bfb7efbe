"""Rebuilds the networks that somebody has timed, and counts what one inference of each asks of a core.

Files and profiles are kept below the project's home: one that was stopped goes on, and a change of a core's pipeline
needs no new profile.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from published import Ruler
from torch import Tensor, nn

from compress.export import export
from compress.export.audit import audit_in_child
from compress.home import default_home
from compress.models.efficientnet_lite import efficientnet_lite
from compress.models.inception_v3 import inception_v3
from compress.models.mobilebert import mobilebert
from compress.models.mobilenet_v1 import mobilenet_v1
from compress.models.mobilenet_v2 import mobilenet_v2
from compress.models.mobilenet_v3 import mobilenet_v3
from compress.models.random_weights import draw_weights, smooth_images
from compress.models.resnet_v1 import resnet_v1
from compress.models.squeezenet import squeezenet
from compress.quantize import DynamicInt8, Float32, Scheme, StaticInt8, quantize
from compress.store import canonical_json, code_version, file_sha256, stage_key
from compress.targets import arm64, encode, open_session
from compress.targets.answers import Profile, read_profile
from compress.targets.cores import CORES
from compress.targets.latency.pipelines import PIPELINES
from compress.targets.latency.placement import Placement
from compress.targets.latency.work import Work, measure_work
from compress.types import Json

IN_WIDTHS: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": partial(mobilenet_v2, padding="same"),
    "mobilenet_v3_large": partial(mobilenet_v3, size="large", padding="same"),
    "mobilenet_v3_small": partial(mobilenet_v3, size="small", padding="same"),
}
"""As TensorFlow has them, whose networks were timed."""
IN_ONE_WIDTH: dict[str, Callable[..., nn.Module]] = {
    "squeezenet": squeezenet,
    **{f"efficientnet_lite{size}": partial(efficientnet_lite, size=size) for size in range(5)},
    "resnet_50": resnet_v1,
    "inception_v3": inception_v3,
}
TEXT = "mobilebert"
"""Reads as many token ids as its ruler's resolution says."""
VOCABULARY = 30_522
SCHEMES: dict[str, Scheme] = {"float32": Float32(), "static_int8": StaticInt8(), "dynamic_int8": DynamicInt8()}
HOUR = 3600
LIBRARIES = ("torch", "litert-torch", "ai-edge-litert")


def count_work(ruler: Ruler, place: Placement) -> tuple[Work, int]:
    """What one inference asks of a device's cores, and the multiply-accumulates of the graph."""
    file = _obtain_file(ruler)
    audit = audit_in_child(file)
    work = measure_work(_obtain_profile(file, ruler, place), PIPELINES[place.core], count_operators(audit))
    return work, audit["macs"]


def count_operators(audit: Json) -> int:
    """That a runtime runs one after the other."""
    return audit["compute_ops"] + audit["conversions"]


def _obtain_file(ruler: Ruler) -> Path:
    code = code_version("compress.models", "compress.quantize", "compress.export")
    versions = {name: version(name) for name in LIBRARIES}
    file = _kept(stage_key("ruler", str(ruler), {}, code, versions), ".tflite")
    if not file.exists():
        inputs = _draw_inputs(ruler, 4)
        scheme = SCHEMES[ruler.scheme]
        graph = quantize(draw_weights(_make_network(ruler), inputs), inputs[:1], scheme, inputs)
        export(graph.module, scheme.precision, "tflite", file, inputs[:1])
    return file


def _make_network(ruler: Ruler) -> nn.Module:
    if ruler.network == TEXT:
        return mobilebert(classes=2, vocabulary=VOCABULARY)
    if ruler.network in IN_WIDTHS:
        return IN_WIDTHS[ruler.network](in_channels=3, classes=1000, width=ruler.width)
    return IN_ONE_WIDTH[ruler.network](in_channels=3, classes=1000)


def _draw_inputs(ruler: Ruler, n: int) -> Tensor:
    if ruler.network == TEXT:
        ids = torch.randint(VOCABULARY, (n, ruler.resolution), generator=torch.Generator().manual_seed(0))
        return ids.to(torch.int32)
    return smooth_images(n, (3, ruler.resolution, ruler.resolution))


def _locate_profile(file: Path, place: Placement) -> Path:
    """By all that decides it: the file, the installation, the core and its caches, the threads."""
    core = CORES[place.core]
    caches = [core.l1d_kib, core.l2_kib, place.shared_cache_kib]
    inputs = {"file": file_sha256(file), "installation": arm64.fingerprint(default_home())}
    config = {"core": core.name, "cpu": core.cpu, "caches": caches, "threads": len(place.ghz)}
    return _kept(stage_key("profile", config, inputs, code_version("compress.runtimes"), {}), ".json")


def _obtain_profile(file: Path, ruler: Ruler, place: Placement) -> Profile:
    kept = _locate_profile(file, place)
    if not kept.exists():
        with open_session(place.core, default_home(), timeout_s=HOUR) as session:
            spec, inputs = session.describe(file).inputs[0], _draw_inputs(ruler, 1).numpy()
            sample = inputs.astype(spec.dtype) if ruler.network == TEXT else encode(spec, inputs)
            profile = session.profile(file, sample, shared_cache_kib=place.shared_cache_kib, threads=len(place.ghz))
        temporary = kept.with_suffix(".tmp")
        temporary.write_bytes(canonical_json(dataclasses.asdict(profile)))
        temporary.replace(kept)
    return read_profile(json.loads(kept.read_text()))


def _kept(key: str, suffix: str) -> Path:
    folder: Path = default_home() / "benchmarks" / "latency"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key}{suffix}"
