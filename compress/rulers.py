"""Small standard networks with random weights, by which a device is measured: their files, and the work of each.

Both are kept below the project's home: a second device with such cores is only timed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from compress.export import export
from compress.export.audit import audit_in_child
from compress.models.efficientnet_lite import efficientnet_lite
from compress.models.mobilenet_v1 import mobilenet_v1
from compress.models.mobilenet_v2 import mobilenet_v2
from compress.models.mobilenet_v3 import mobilenet_v3
from compress.models.random_weights import draw_weights, smooth_images
from compress.models.squeezenet import squeezenet
from compress.quantize import Float32, Scheme, StaticInt8, quantize
from compress.store import canonical_json, code_version, file_sha256, stage_key, write_atomic
from compress.targets import Session, arm64, encode, open_session
from compress.targets.latency.pipelines import PIPELINES
from compress.targets.latency.placement import Placement
from compress.targets.latency.work import Work, measure_work

NETWORKS: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "MobileNetV1, half as wide": (partial(mobilenet_v1, width=0.5), 160),
    "MobileNetV2": (partial(mobilenet_v2, padding="same"), 128),
    "MobileNetV3-Small": (partial(mobilenet_v3, size="small", padding="same"), 224),
    "EfficientNet-Lite0": (efficientnet_lite, 128),
    "SqueezeNet 1.1": (squeezenet, 128),
}
"""Name -> the network, and its images' height and width. Of different kinds, as those that are asked about will be."""
SCHEMES: dict[str, Scheme] = {"float32": Float32(), "static_int8": StaticInt8()}
LIBRARIES = ("torch", "litert-torch", "ai-edge-litert")


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """One file: of which network, in which scheme."""

    network: str
    scheme: str
    file: Path


def make_rulers(home: Path, say: Callable[[str], None]) -> tuple[Ruler, ...]:
    """Every network in both schemes, as a .tflite file."""
    code = code_version("compress.models", "compress.quantize", "compress.export", __name__)
    versions = {name: version(name) for name in LIBRARIES}
    rulers = []
    for network, (make, pixels) in NETWORKS.items():
        for scheme in SCHEMES:
            config = {"network": network, "pixels": pixels, "scheme": scheme}
            file = home / "rulers" / f"{stage_key('ruler', config, {}, code, versions)}.tflite"
            if not file.exists():
                say(f"write {network}, {scheme}")
                _write(make, pixels, scheme, file)
            rulers.append(Ruler(network=network, scheme=scheme, file=file))
    return tuple(rulers)


def count_rulers(rulers: Sequence[Ruler], place: Placement, home: Path, say: Callable[[str], None]) -> tuple[Work, ...]:
    """What one inference of each asks of a device's cores, in their order.

    Raises:
        ToolError: the ARM64 runtimes cannot be had here.
    """
    arm64.install(home, say)
    installation = arm64.fingerprint(home)
    code = code_version("compress.export.audit", "compress.runtimes", "compress.targets", __name__)
    found = []
    with ExitStack() as stack:
        session: Session | None = None
        for ruler in rulers:
            config = {"core": place.core, "shared_cache_kib": place.shared_cache_kib, "threads": len(place.ghz)}
            inputs = {"file": file_sha256(ruler.file), "installation": installation}
            kept = home / "rulers" / f"{stage_key('work', config, inputs, code, {})}.json"
            if not kept.exists():
                say(f"count {ruler.network}, {ruler.scheme}, on an emulated {place.core}")
                session = session or stack.enter_context(open_session(place.core, home, timeout_s=600))
                write_atomic(kept, canonical_json(dataclasses.asdict(_count(session, ruler, place))))
            content = json.loads(kept.read_text())
            found.append(Work(**{**content, "lines": tuple(content["lines"])}))
    return tuple(found)


def draw_input(session: Session, file: Path) -> NDArray[np.generic]:
    """One image of noise, as the file takes it; the same for all files of a size."""
    spec = session.describe(file).inputs[0]
    _, height, width, channels = (size or 1 for size in spec.shape)
    return encode(spec, np.random.default_rng(0).random((1, channels, height, width), dtype=np.float32))


def _count(session: Session, ruler: Ruler, place: Placement) -> Work:
    audit = audit_in_child(ruler.file)
    sample = draw_input(session, ruler.file)
    profile = session.profile(ruler.file, sample, shared_cache_kib=place.shared_cache_kib, threads=len(place.ghz))
    return measure_work(profile, PIPELINES[place.core], audit["compute_ops"] + audit["conversions"])


def _write(make: Callable[..., nn.Module], pixels: int, scheme: str, file: Path) -> None:
    images = smooth_images(4, (3, pixels, pixels))
    how = SCHEMES[scheme]
    graph = quantize(draw_weights(make(in_channels=3, classes=1000), images), images[:1], how, images)
    file.parent.mkdir(parents=True, exist_ok=True)
    export(graph.module, how.precision, "tflite", file, images[:1])
