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

from published import Ruler
from torch import nn

from compress.export import export
from compress.export.audit import audit_in_child
from compress.home import default_home
from compress.models.mobilenet_v1 import mobilenet_v1
from compress.models.mobilenet_v2 import mobilenet_v2
from compress.models.mobilenet_v3 import mobilenet_v3
from compress.models.random_weights import draw_weights, smooth_images
from compress.quantize import Float32, StaticInt8, quantize
from compress.store import canonical_json, code_version, file_sha256, stage_key
from compress.targets import arm64, encode, open_session
from compress.targets.answers import Profile, read_profile
from compress.targets.cores import CORES
from compress.targets.latency.pipelines import PIPELINES
from compress.targets.latency.placement import Placement
from compress.targets.latency.work import Work, measure_work
from compress.types import Json

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": partial(mobilenet_v2, padding="same"),
    "mobilenet_v3_large": partial(mobilenet_v3, size="large", padding="same"),
    "mobilenet_v3_small": partial(mobilenet_v3, size="small", padding="same"),
}
"""As TensorFlow has them, whose networks were timed."""
SCHEMES = {"float32": Float32(), "static_int8": StaticInt8()}
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
        images = smooth_images(4, (3, ruler.resolution, ruler.resolution))
        network = NETWORKS[ruler.network](in_channels=3, classes=1000, width=ruler.width)
        scheme = SCHEMES[ruler.scheme]
        graph = quantize(draw_weights(network, images), images[:1], scheme, images)
        export(graph.module, scheme.precision, "tflite", file, images[:1])
    return file


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
        with open_session(place.core, default_home(), timeout_s=900) as session:
            image = smooth_images(1, (3, ruler.resolution, ruler.resolution)).numpy()
            sample = encode(session.describe(file).inputs[0], image)
            profile = session.profile(file, sample, shared_cache_kib=place.shared_cache_kib, threads=len(place.ghz))
        temporary = kept.with_suffix(".tmp")
        temporary.write_bytes(canonical_json(dataclasses.asdict(profile)))
        temporary.replace(kept)
    return read_profile(json.loads(kept.read_text()))


def _kept(key: str, suffix: str) -> Path:
    folder: Path = default_home() / "benchmarks" / "latency"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key}{suffix}"
