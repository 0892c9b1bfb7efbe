"""How many multiply-accumulates a kernel executes for a layer: the layer, rounded up to the kernel's tiles.

Kernels compute whole tiles of a matrix product: `rows` pixels at once, by `outputs` output channels, by `depth` inputs
in one instruction or load. What is left over at an edge is computed and thrown away. The tiles below were read off
single-layer models of every size around them: `sweep_tiles.py` counts such models on each core again, and fails if one
count differs from what this file says. `executed_macs.py` then checks it on whole networks.

XNNPACK's are those in the names of its public microkernels: f32-gemm-6x8 and 4x8 (neonfma), qs8-qc8w-gemm-4x16
(neon-mlal-lane), 2x8c8 (neon-mlal) and 4x16c4 (neondot), each with a sibling of one row, and f32-gemm-4x2 for few
outputs. MLAS, ONNX Runtime's kernels, was only swept; how it cuts the depth into blocks is in its public sources. Two
of its details were looked for because a network was 0.1 and 0.3 % off without them, MLAS_FLOAT_ONE_ROW and
_depth_blocks; both show in single layers too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from layers import Layer, read_layers

from compress.types import Precision


@dataclass(frozen=True)
class Tile:
    """What a kernel computes at once; every extent of a layer is rounded up to it."""

    rows: int
    outputs: int
    depth: int = 1

    def cover(self, rows: int, outputs: int, depth: int) -> int:
        """Multiply-accumulates of a (rows x depth) by (depth x outputs) product."""
        return _up(rows, self.rows) * _up(outputs, self.outputs) * _up(depth, self.depth)

    def of_one_row(self) -> Tile:
        return Tile(1, self.outputs, self.depth)


XNNPACK_FLOAT = {
    "cortex-a53": Tile(6, 8),
    "cortex-a55": Tile(6, 8),
    "cortex-a72": Tile(4, 8),
    "cortex-a76": Tile(6, 8),
}
XNNPACK_FLOAT_FEW = Tile(4, 2)
XNNPACK_INT8 = {
    "cortex-a53": Tile(4, 16),
    "cortex-a55": Tile(4, 16, 4),
    "cortex-a72": Tile(2, 8, 8),
    "cortex-a76": Tile(4, 16, 4),
}
XNNPACK_DEPTHWISE_FLOAT, XNNPACK_DEPTHWISE_INT8 = Tile(1, 4), Tile(1, 8)

MLAS_FLOAT = Tile(8, 1)  # the image is the right-hand matrix: pixels are its columns
MLAS_FLOAT_ONE_ROW = Tile(4, 1)
MLAS_FLOAT_LINEAR = Tile(1, 8)
MLAS_INT8 = Tile(1, 4, 16)
MLAS_INT8_DOT = Tile(4, 16, 16)
MLAS_INT8_DOT_LINEAR = Tile(1, 8, 8)
MLAS_INT8_DEPTHWISE_16, MLAS_INT8_DEPTHWISE_8 = Tile(2, 16), Tile(4, 8)  # multiples of 8 channels only
DOT_CORES = ("cortex-a55", "cortex-a76")


def padded_macs(path: Path, precision: Precision, core: str) -> list[tuple[Layer, int]] | None:
    """Every layer of a model file with the multiply-accumulates that its kernel executes.

    Args:
        path: .onnx (for ONNX Runtime) or .tflite (for LiteRT).
        precision: float16 in a .tflite is weights alone, computed in float32.
        core: one of `core_names()`.

    Returns:
        None where no tiles are known: float16 arithmetic in ONNX Runtime, another core.
    """
    if core not in XNNPACK_FLOAT or (precision == "float16" and path.suffix == ".onnx" and core in DOT_CORES):
        return None
    if precision != "static_int8":
        count = _litert_float if path.suffix == ".tflite" else _onnxruntime_float
    else:
        count = _litert_int8 if path.suffix == ".tflite" else _onnxruntime_int8
    return [(layer, count(layer, core)) for layer in read_layers(path)]


def _litert_float(layer: Layer, core: str) -> int:
    if layer.kind == "depthwise":
        return XNNPACK_DEPTHWISE_FLOAT.cover(layer.pixels, layer.outputs, layer.taps)
    tile = XNNPACK_FLOAT[core]
    if _up(layer.outputs, XNNPACK_FLOAT_FEW.outputs) < _up(layer.outputs, tile.outputs):
        return _indirect(layer, XNNPACK_FLOAT_FEW)
    return _indirect(layer, tile.of_one_row() if layer.pixels == 1 else tile)


def _litert_int8(layer: Layer, core: str) -> int:
    if layer.kind == "depthwise":
        return XNNPACK_DEPTHWISE_INT8.cover(layer.pixels, layer.outputs, layer.taps)
    tile = XNNPACK_INT8[core]
    return _indirect(layer, tile.of_one_row() if layer.pixels == 1 else tile)


def _indirect(layer: Layer, tile: Tile) -> int:
    """A product for each tap, through pointers into the image: channels are rounded up tap by tap."""
    return layer.taps * tile.cover(layer.pixels, layer.outputs, layer.channels)


def _onnxruntime_float(layer: Layer, _core: str) -> int:
    if layer.kind == "depthwise" and layer.stride == 1 and layer.taps == 9:
        # Pixels of the first and the last row skip the 3 taps beyond the border; the outermost of them do not.
        return layer.outputs * (layer.taps * layer.pixels - 6 * (layer.width - 2))
    if layer.kind == "depthwise":  # one product for each channel
        return layer.outputs * MLAS_FLOAT_ONE_ROW.cover(layer.pixels, 1, layer.taps)
    depth = layer.taps * layer.channels
    if layer.kind == "linear":  # its bias is the sum to start from, added as 1 * bias
        return MLAS_FLOAT_LINEAR.cover(layer.pixels, layer.outputs, depth) + layer.pixels * layer.outputs
    sums = _depth_blocks(depth, layer.pixels) - 1
    return MLAS_FLOAT.cover(layer.pixels, layer.outputs, depth) + sums * layer.pixels * layer.outputs


def _depth_blocks(depth: int, columns: int) -> int:
    """Blocks that MLAS cuts the depth into, for its cache; every block but the first is added to what is there."""
    columns_at_once, depth_at_once = 128, 128
    if columns >= depth:
        while depth_at_once // 2 >= depth:
            depth_at_once //= 2
    else:
        while columns_at_once > 1 and columns_at_once // 2 >= columns:
            columns_at_once, depth_at_once = columns_at_once // 2, depth_at_once * 2
    return math.ceil(depth / depth_at_once)


def _onnxruntime_int8(layer: Layer, core: str) -> int:
    depth = layer.taps * layer.channels
    if layer.kind == "depthwise":
        tile = MLAS_INT8_DEPTHWISE_16 if layer.outputs % 16 == 0 else MLAS_INT8_DEPTHWISE_8
        return tile.cover(layer.pixels, layer.outputs, depth)
    if core not in DOT_CORES:
        return MLAS_INT8.cover(layer.pixels, layer.outputs, depth)
    tile = MLAS_INT8_DOT_LINEAR if layer.kind == "linear" else MLAS_INT8_DOT
    return tile.cover(layer.pixels, layer.outputs, depth)


def _up(size: int, tile: int) -> int:
    return math.ceil(size / tile) * tile
