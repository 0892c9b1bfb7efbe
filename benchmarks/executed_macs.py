"""Do executed opcodes add up to the network? Whole networks, counted on emulated cores and added up from their layers.

Kernels compute whole tiles and throw away what lies beyond the edge of a layer: of 7 x 7 pixels XNNPACK makes 9 tiles
of 6, which are 54; of a grey image's one channel 4 in a dot product; of 10 classes 16. A network at 224 pixels loses
little by that, one at 28 pixels up to a fifth. tiles.py has the tiles, read off single-layer models (sweep_tiles.py),
and predicts each count from a file's layer shapes alone: the executed multiply-accumulates must agree with that within
5 %. What is left is below 0.1 %, most of it in the teacher, where ONNX Runtime adds a residual branch as 1 * branch.
MobileNetV1-1.0-224's must agree as well with the 569 million that Howard et al. 2017 give (table 4).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tiles import padded_macs
from torch import nn

from compress.export import export
from compress.export.audit import audit_in_child
from compress.home import default_home
from compress.models.mobile import mobile_cnn
from compress.quantize import Float32, Scheme, StaticInt8, quantize
from compress.recipe import load_recipe
from compress.targets import arm64, encode, open_session
from compress.types import Precision

WIDTHS = (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
PUBLISHED_MACS = 569e6
QUICKSTART = Path(__file__).parents[1] / "pipelines/quickstart.yaml"
CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")
ALLOWED = 0.05


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, its image (channels, height, width), how to write it, where to count it; published MACs or None."""

    name: str
    network: nn.Module
    image: tuple[int, int, int]
    schemes: tuple[Scheme, ...]
    cores: tuple[str, ...]
    published: float | None = None


def cases() -> Iterator[Case]:
    """The quickstart's two networks, untrained (weights do not change a count), and MobileNetV1."""
    recipe = load_recipe(QUICKSTART)
    shape, both = (1, 28, 28), (Float32(), StaticInt8())
    teacher = recipe.teacher.model.build(in_channels=1, classes=10)
    student = recipe.student.model.build(in_channels=1, classes=10)
    yield Case(name="teacher", network=teacher, image=shape, schemes=(Float32(),), cores=CORES)
    yield Case(name="student", network=student, image=shape, schemes=both, cores=CORES)
    yield Case(
        name="mobilenet_v1",
        network=mobile_cnn(in_channels=3, classes=1000, widths=WIDTHS, strides=STRIDES),
        image=(3, 224, 224),
        schemes=both,
        cores=("cortex-a53", "cortex-a76"),
        published=PUBLISHED_MACS,
    )


def write(case: Case, folder: Path) -> Iterator[tuple[Path, Precision]]:
    """Every file of a case."""
    images = torch.rand(4, *case.image)
    with torch.no_grad():
        case.network.train()(images)  # batch norms with statistics of their own inputs
    case.network.eval()
    for scheme in case.schemes:
        graph = quantize(case.network, images[:1], scheme, images)
        for fmt in ("tflite", "onnx"):
            file = folder / f"{case.name}-{scheme.precision}.{fmt}"
            export(graph.module, scheme.precision, fmt, file, images[:1])
            yield file, scheme.precision


def check(case: Case, file: Path, precision: Precision, core: str) -> bool:
    """Print a row; whether the executed count agrees with the tiles, and with the publication if there is one."""
    with open_session(core, default_home(), timeout_s=900) as session:
        spec = session.describe(file).inputs[0]
        executed = session.count(file, encode(spec, torch.ones(1, *case.image).numpy()), repeats=1).executed_macs
    graph = audit_in_child(file)["macs"]
    padded = sum(macs for _, macs in padded_macs(file, precision, core) or [])
    print(
        f"{file.name:<32}{core:<12}{graph:>13,}{padded:>13,}{executed:>13,}{executed / graph:>12.4f}"
        f"{executed / padded:>12.4f}",
        flush=True,
    )
    return all(abs(executed / expected - 1) <= ALLOWED for expected in (padded, case.published) if expected is not None)


def print_layers(file: Path, precision: Precision, core: str) -> None:
    """What each layer's tiles add to it."""
    for layer, padded in padded_macs(file, precision, core) or []:
        print(f"  {layer!s:<90}{layer.macs:>13,}{padded:>13,}{padded / layer.macs:>9.3f}")


def main() -> int:
    """Print the tables; 1 if a count disagrees by more than 5 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", action="store_true", help="show every layer too")
    by_layer = parser.parse_args().layers
    arm64.install(default_home(), print)
    torch.manual_seed(0)
    print(f"{'':<44}{'MACs: graph':>13}{'tiles':>13}{'executed':>13}{'exec/graph':>12}{'exec/tiles':>12}")
    agree = True
    with tempfile.TemporaryDirectory() as folder:
        for case in cases():
            for file, precision in write(case, Path(folder)):
                for core in case.cores:
                    agree &= check(case, file, precision, core)
                    if by_layer:
                        print_layers(file, precision, core)
    return int(not agree)


if __name__ == "__main__":
    sys.exit(main())
