"""Reads the tiles of the kernels off single-layer models: one extent grows at a time, each size counted on each core.

Every count must equal what tiles.py says of that size, to the multiply-accumulate.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tiles import padded_macs
from torch import nn

from compress.export import export
from compress.home import default_home
from compress.quantize import Float32, Scheme, StaticInt8, quantize
from compress.targets import arm64, encode, open_session
from compress.types import Precision

CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")
SCHEMES: tuple[Scheme, ...] = (Float32(), StaticInt8())
Shape = tuple[int, int, int]
"""Channels, height, width of the image."""


def layers() -> Iterator[tuple[str, nn.Module, Shape]]:
    """A name, a layer, its image: 13 pixels, 16 outputs, 16 channels with one of them varied, then other kernels."""
    for pixels in (1, 2, 5, 7, 13):
        yield f"pixels-{pixels}", nn.Conv2d(16, 16, 1), (16, pixels, 1)
    for outputs in (2, 5, 10, 14, 22, 24, 40):
        yield f"outputs-{outputs}", nn.Conv2d(16, outputs, 1), (16, 13, 1)
    for channels in (1, 5, 9, 17):
        yield f"channels-{channels}", nn.Conv2d(channels, 16, 1), (channels, 13, 1)
    for channels, outputs, size, stride in ((1, 16, 5, 1), (9, 16, 5, 1), (32, 32, 8, 1), (1, 16, 6, 2)):
        layer = nn.Conv2d(channels, outputs, 3, stride, 1)
        yield f"taps-9-{channels}-{outputs}-stride-{stride}", layer, (channels, size, size)
    for channels, height, width, stride in (
        (8, 7, 7, 1),
        (24, 7, 7, 1),
        (32, 7, 7, 1),
        (48, 7, 7, 1),
        (8, 6, 11, 1),
        (8, 11, 6, 1),
        (8, 14, 14, 2),
        (16, 6, 6, 2),
    ):
        layer = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels)
        yield f"depthwise-{channels}-{height}x{width}-stride-{stride}", layer, (channels, height, width)
    for channels, outputs in ((17, 10), (128, 10), (128, 16), (40, 24)):
        yield (
            f"linear-{channels}-{outputs}",
            nn.Sequential(nn.Flatten(), nn.Linear(channels, outputs)),
            (channels, 1, 1),
        )


def write_models(folder: Path) -> Iterator[tuple[Path, Precision, Shape]]:
    """Export every layer in every precision and format."""
    torch.manual_seed(0)
    for name, layer, shape in layers():
        image = torch.rand(1, *shape)
        for scheme in SCHEMES:
            graph = quantize(layer.eval(), image, scheme, torch.rand(4, *shape))
            for fmt in ("tflite", "onnx"):
                file = folder / f"{name}-{scheme.precision}.{fmt}"
                export(graph.module, scheme.precision, fmt, file, image)
                yield file, scheme.precision, shape


def main() -> int:
    """Print predicted and executed counts; 1 if one of them differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cores", nargs="*", default=CORES, help=f"of {', '.join(CORES)}; all without")
    cores = parser.parse_args().cores
    arm64.install(default_home(), print)
    failed = counted = 0
    with tempfile.TemporaryDirectory() as folder:
        models = list(write_models(Path(folder)))
        for core in cores:
            with open_session(core, default_home(), timeout_s=600) as session:
                for file, precision, shape in models:
                    spec = session.describe(file).inputs[0]
                    image = np.ones((1, *shape), np.float32)
                    executed = session.count(file, encode(spec, image), repeats=1).executed_macs
                    predicted = sum(macs for _, macs in padded_macs(file, precision, core) or [])
                    failed += executed != predicted
                    counted += 1
                    verdict = "equal" if executed == predicted else "DIFFERS"
                    print(
                        f"{file.name:<48}{core:<12}tiles {predicted:>8,}   executed {executed:>8,}   {verdict}",
                        flush=True,
                    )
    print(f"{counted - failed} of {counted} counts are equal")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
