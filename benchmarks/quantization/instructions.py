"""Int8 against float32 on emulated ARM64 cores: instructions of one inference, and what is inside each file.

Five networks, all with random weights, EfficientNet-Lite0 too: training changes neither counts nor sizes by much, and
accuracy is not asked here.
The CNNs are quantised by static_int8, the vision transformer by dynamic_int8; both formats, ONNX Runtime and LiteRT.
Counts are exact, of one thread. A count is no latency, but an int8 file that does not execute fewer instructions than
float32 has no claim to be faster, and is marked so.

The audit: operators that compute on integers, those left in float32 among them, transposes, and bytes by part. The
claim: the int8 file of every CNN whose float32 file is above 0.5 MB has at most 0.30 of its bytes.

Takes about 20 minutes on 2 cores; --quick, a tiny network in TFLite on one core, some seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from students import STUDENTS
from torch import nn

from compress.bench import bench_file
from compress.export import export
from compress.home import default_home
from compress.models.efficientnet_lite import efficientnet_lite
from compress.models.mobile import mobile_cnn
from compress.models.random_weights import draw_weights, smooth_images
from compress.models.vit import vit
from compress.quantize import DynamicInt8, Float32, Scheme, StaticInt8, quantize

sys.path.append(str(Path(__file__).parents[1]))
from keeping import LIBRARIES, keep

CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")
Format = Literal["onnx", "tflite"]
FORMATS: tuple[Format, ...] = ("onnx", "tflite")
RESULTS = Path(__file__).parents[1] / "results" / "quantization" / "instructions.json"
CODE = (
    "compress.bench",
    "compress.export",
    "compress.models",
    "compress.quantize",
    "compress.runtimes",
    "compress.targets",
)
LARGE_BYTES, LARGEST_SHARE = 500_000, 0.30
KEPT_OF_AUDIT = ("int8_op_share", "float_islands", "transposes", "conversions", "bytes")


@dataclass(frozen=True, kw_only=True)
class Network:
    """What is counted; image: (channels, height, width)."""

    make: Callable[[], nn.Module]
    image: tuple[int, int, int]
    scheme: Scheme = field(default_factory=StaticInt8)


SMALL = (1, 28, 28)
NETWORKS = {
    **{name: Network(make=make, image=SMALL) for name, make in STUDENTS.items()},
    "EfficientNet-Lite0": Network(make=lambda: efficientnet_lite(in_channels=3, classes=1000), image=(3, 224, 224)),
    "vision transformer": Network(
        make=lambda: vit(in_channels=1, classes=10, image_size=28, patch_size=7, width=192, depth=6, heads=3),
        image=SMALL,
        scheme=DynamicInt8(),
    ),
}
TINY = Network(make=lambda: mobile_cnn(in_channels=1, classes=10, widths=(8, 16), strides=(2, 1)), image=(1, 8, 8))


def main() -> int:
    """Count, print, write; 0 if the int8 files are as small as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny, in TFLite, on one core; the figures mean nothing")
    parser.add_argument("--output", type=Path, help=f"JSON to write (default: results/{RESULTS.name}, none if quick)")
    given = parser.parse_args()
    output: Path = given.output or (Path(os.devnull) if given.quick else RESULTS)
    torch.set_num_threads(1)
    networks, formats, cores = (
        ({"tiny CNN": TINY}, FORMATS[-1:], CORES[-1:]) if given.quick else (NETWORKS, FORMATS, CORES)
    )
    rows = []
    for name, network in networks.items():
        settings = {"network": name, "formats": formats, "cores": cores}
        rows += keep("instructions", settings, partial(measure, name, network, formats, cores), code=CODE)
    print_counts(rows)
    print_audits(rows)
    if output != Path(os.devnull):
        output.parent.mkdir(parents=True, exist_ok=True)
    machine = {library: version(library) for library in LIBRARIES}
    output.write_text(json.dumps({"benchmark": "instructions", "rows": rows, "machine": machine}, indent=1) + "\n")
    return judge(rows)


def measure(
    name: str, network: Network, formats: tuple[Format, ...], cores: tuple[str, ...], _work: Path
) -> list[dict[str, Any]]:
    """One row a format: both files' bytes, counts by core and audits."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = dict(write(network, formats, Path(folder)))
        for fmt in formats:
            found = {precision: bench(files[precision, fmt], cores) for precision in ("float32", "int8")}
            rows.append({"network": name, "scheme": network.scheme.precision, "format": fmt, **found})
            print(f"  {name}, {fmt}: counted on {', '.join(cores)}", flush=True)
    return rows


def write(network: Network, formats: tuple[Format, ...], folder: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """The float32 and the int8 file of each format."""
    images = smooth_images(16, network.image)
    torch.manual_seed(0)
    model = draw_weights(network.make(), images)
    for precision, scheme in (("float32", Float32()), ("int8", network.scheme)):
        graph = quantize(model, images[:1], scheme, images)
        for fmt in formats:
            path = folder / f"{precision}.{fmt}"
            export(graph.module, graph.precision, fmt, path, images[:1])
            yield (precision, fmt), path


def bench(file: Path, cores: tuple[str, ...]) -> dict[str, Any]:
    """Bytes, instructions by core, and the audit of a file."""
    done = bench_file(file, cores, default_home(), inferences=1, threads=1, seed=0, timeout_s=900)
    return {
        "size_bytes": done.artifact.size_bytes,
        "instructions": {m.target: int(m.value) for m in done.measurements if m.metric == "instructions"},
        "audit": {key: done.audit[key] for key in KEPT_OF_AUDIT},
    }


def ratio(row: dict[str, Any], core: str) -> float:
    """Instructions of int8 over those of float32."""
    return row["int8"]["instructions"][core] / row["float32"]["instructions"][core]


def size_share(row: dict[str, Any]) -> float:
    """Bytes of the int8 file over those of the float32 file."""
    return row["int8"]["size_bytes"] / row["float32"]["size_bytes"]


def print_counts(rows: list[dict[str, Any]]) -> None:
    """One line a network, format and core."""
    print(f"\n{'network':20}{'file':8}{'core':12}{'float32':>15}{'int8':>15}{'int8/float32':>14}")
    for row in rows:
        for core, whole in row["float32"]["instructions"].items():
            share = ratio(row, core)
            note = "  int8 is not faster" if share >= 1 else ""
            counts = f"{whole:15,}{row['int8']['instructions'][core]:15,}"
            print(f"{row['network']:20}{row['format']:8}{core:12}{counts}{share:14.2f}{note}")


def print_audits(rows: list[dict[str, Any]]) -> None:
    """One line a network and format: the int8 file, beside the bytes of float32's."""
    parts = list(rows[0]["int8"]["audit"]["bytes"])
    columns = ["int8 ops, %", "float islands", "conversions", "transposes", "/ float32", *parts]
    print(f"\n{'network':20}{'file':8}" + "".join(f"{column:>14}" for column in columns))
    for row in rows:
        audit = row["int8"]["audit"]
        cells = [
            f"{100 * audit['int8_op_share']:.0f}",
            f"{len(audit['float_islands'])}",
            f"{audit['conversions']}",
            f"{audit['transposes']}",
            f"{size_share(row):.3f}",
            *(f"{audit['bytes'][part]:,}" for part in parts),
        ]
        print(f"{row['network']:20}{row['format']:8}" + "".join(f"{cell:>14}" for cell in cells))


def judge(rows: list[dict[str, Any]]) -> int:
    """1 if the int8 file of a CNN is larger than asked."""
    short = [
        row
        for row in rows
        if row["scheme"] == "static_int8"
        and row["float32"]["size_bytes"] > LARGE_BYTES
        and size_share(row) > LARGEST_SHARE
    ]
    for row in short:
        share = f"{size_share(row):.3f} of float32's bytes; asked at most {LARGEST_SHARE:.2f}"
        print(f"falls short: {row['network']}.{row['format']}: {share}")
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
