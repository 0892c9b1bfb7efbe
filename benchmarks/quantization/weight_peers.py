"""The stock quantisers of both formats that need no calibration, each from a float32 file to a quantised one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Peer:
    """write: reads the float32 file of the format and writes the quantised one."""

    name: str
    fmt: Literal["onnx", "tflite"]
    write: Callable[[Path, Path], None]


def _ort_dynamic(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)


def _ort_blocks(bits: int) -> Callable[[Path, Path], None]:
    def write(source: Path, target: Path) -> None:
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        operators = ("MatMul", "Gather") if bits == 4 else ("MatMul",)
        quantizer = MatMulNBitsQuantizer(
            onnx.load(source), bits=bits, block_size=32, is_symmetric=True, op_types_to_quantize=operators
        )
        quantizer.process()
        quantizer.model.save_model_to_file(str(target))

    return write


def _ai_edge(recipe_name: str) -> Callable[[Path, Path], None]:
    def write(source: Path, target: Path) -> None:
        from ai_edge_quantizer import quantizer, recipe

        tool = quantizer.Quantizer(str(source))
        tool.load_quantization_recipe(getattr(recipe, recipe_name)())
        target.write_bytes(bytes(tool.quantize().quantized_model))

    return write


PEERS = (
    Peer(name="onnxruntime: quantize_dynamic, int8 per channel", fmt="onnx", write=_ort_dynamic),
    Peer(name="onnxruntime: MatMulNBits, 8 bits, blocks of 32", fmt="onnx", write=_ort_blocks(8)),
    Peer(name="onnxruntime: MatMulNBits, 4 bits, blocks of 32", fmt="onnx", write=_ort_blocks(4)),
    Peer(name="ai-edge-quantizer: dynamic_wi8_afp32", fmt="tflite", write=_ai_edge("dynamic_wi8_afp32")),
    Peer(name="ai-edge-quantizer: weight_only_wi8_afp32", fmt="tflite", write=_ai_edge("weight_only_wi8_afp32")),
    Peer(name="ai-edge-quantizer: dynamic_wi4_afp32", fmt="tflite", write=_ai_edge("dynamic_wi4_afp32")),
)
