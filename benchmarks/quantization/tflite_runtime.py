"""What tflite-runtime 2.14, which older apps ship, makes of our .tflite files: agrees, fails, or is silently wrong.

Every block of docs/operators.md in static int8, and every scheme on a small mobile network, a small vision transformer
and a text encoder, each against LiteRT on the same inputs. Weights are random: the files are what counts here, not what
they know. docs/tflite-runtime.md is written from the results.

Asked: none is silently wrong. Takes about three minutes on an idle core; one that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from kept import keep
from torch import Tensor, nn

from compress.errors import ModelError
from compress.export import export
from compress.home import default_home
from compress.measure.compatibility import measure_compatibility
from compress.models.mobile import mobile_cnn
from compress.models.random_weights import draw_weights, smooth_images
from compress.models.vit import vit
from compress.quantize import (
    DynamicInt8,
    Float16,
    Float32,
    MixedInt8,
    Scheme,
    StaticInt8,
    WeightOnlyInt4,
    WeightOnlyInt8,
    quantize,
)
from compress.stages.emulate import explain_failure
from compress.store import code_version
from compress.targets import Session, decode, encode, open_session, tflite_runtime
from compress.types import Artifact

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "quantization" / "tflite_runtime.json"
CALIBRATION, INPUTS = 64, 32
MEASURE = "compress.measure.compatibility"
sys.path.insert(0, str(ROOT / "tests" / "export"))  # the zoo of blocks, and a text encoder
from op_zoo import CASES  # noqa: E402
from transformer_nets import build_encoder, ids  # noqa: E402
from zoo_blocks import inputs_of  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class File:
    """One file to try: a model in a scheme."""

    model: str
    scheme: str
    net: nn.Module
    inputs: Tensor
    quantization: Scheme


def main() -> int:
    """Write, run on both runtimes, print, keep; 0 if none is silently wrong."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    site = tflite_runtime.install(default_home(), print).site("host")
    with (
        open_session("host", default_home()) as litert,
        open_session("host", default_home(), site=site) as old,
        tempfile.TemporaryDirectory() as folder,
    ):
        for part, files in (("schemes", schemes()), ("blocks", blocks())):
            found[part] = [try_once(each, litert, old, Path(folder)) for each in files]
    found["versions"] = {
        "tflite-runtime": tflite_runtime.NAME.split()[1],
        **{name: version(name) for name in ("torch", "ai-edge-litert", "litert-torch")},
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(found, indent=1) + "\n")
    rows = [*found["schemes"], *found["blocks"]]
    print({state: sum(row["state"] == state for row in rows) for state in ("agrees", "fails", "silently wrong")})
    return int(any(row["state"] == "silently wrong" for row in rows))


def blocks() -> Iterator[File]:
    """The zoo, in static int8."""
    for case in CASES:
        inputs = inputs_of(case.inputs, CALIBRATION)
        yield File(model=case.name, scheme="static_int8", net=case.build(), inputs=inputs, quantization=StaticInt8())


def schemes() -> Iterator[File]:
    """Networks in the schemes that they have."""
    images = smooth_images(CALIBRATION, (1, 28, 28))
    mobile = draw_weights(mobile_cnn(in_channels=1, classes=10, widths=(16, 32, 64), strides=(2, 1, 2)), images)
    stem = next(name for name, layer in mobile.named_modules() if isinstance(layer, nn.Conv2d))
    attentive = draw_weights(
        vit(in_channels=1, classes=10, image_size=28, patch_size=7, width=96, depth=2, heads=3), images
    )
    floats: tuple[Scheme, ...] = (Float32(), Float16())
    stored: tuple[Scheme, ...] = (DynamicInt8(), WeightOnlyInt8(), WeightOnlyInt4())
    for name, net, inputs, wanted in (
        ("mobile network", mobile, images, (*floats, StaticInt8(), MixedInt8(exempt=(stem,)))),
        ("vision transformer", attentive, images, (*floats, StaticInt8(), *stored)),
        ("text encoder", build_encoder(), ids(CALIBRATION), (*floats, *stored)),
    ):
        for scheme in wanted:
            yield File(model=name, scheme=scheme.precision, net=net, inputs=inputs, quantization=scheme)


def try_once(file: File, litert: Session, old: Session, folder: Path) -> dict[str, Any]:
    """One row of the table, printed at once."""
    settings = {
        "model": file.model,
        "scheme": file.scheme,
        "runtime": tflite_runtime.NAME,
        "code": code_version(MEASURE),
    }
    (row,) = keep("tflite_runtime", settings, lambda: [try_file(file, litert, old, folder)])
    steps = f"{row['in_steps']:.1f} steps" if row["in_steps"] is not None else ""
    print(f"{file.model:50}{file.scheme:18}{row['state']:16}{steps:12}{row['why'] or ''}", flush=True)
    return row


def try_file(file: File, litert: Session, old: Session, folder: Path) -> dict[str, Any]:
    """Write the file, run it on both, and compare."""
    path, example = folder / "model.tflite", file.inputs[:1]
    graph = quantize(file.net, example, file.quantization, file.inputs)
    export(graph.module, graph.precision, "tflite", path, example)
    info = litert.describe(path)
    stored = encode(info.inputs[0], file.inputs[:INPUTS].numpy())
    expected = decode(info.outputs[0], litert.run(path, stored)).reshape(INPUTS, -1)
    logits, why = None, None
    try:
        logits = decode(info.outputs[0], old.run(path, stored)).reshape(INPUTS, -1)
    except ModelError as error:
        why = explain_failure("host", error)
    artifact = Artifact(
        name=path.name, role="file", path=path.name, format="tflite", precision=graph.precision, sha256="", size_bytes=0
    )
    found = measure_compatibility(
        artifact, logits, expected, why=why, runtime=tflite_runtime.NAME, target="host", how="native", split="random"
    ).details
    difference, step = found.get("max_abs_difference"), info.outputs[0].scale
    return {
        "model": file.model,
        "scheme": file.scheme,
        "state": found["state"],
        "why": found.get("why"),
        "largest_output": float(abs(expected).max()),
        "largest_difference": difference,
        "in_steps": difference / step if difference is not None and step else None,
    }


if __name__ == "__main__":
    sys.exit(main())
