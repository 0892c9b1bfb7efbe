"""The stock quantisers that this project is measured beside, each as its documentation says.

Those of the formats are given our float32 files, torchao's the torch module.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from compress.models.convolution import SameConv2d

LAYERS = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)


def onnx_runtime(source: Path, result: Path, images: np.ndarray, method: str) -> None:
    """ONNX Runtime's `quantize_static`: QDQ, per_channel int8 weights, uint8 activations, shapes inferred first.

    Args:
        source: the float32 .onnx file.
        result: where to write.
        images: (n, 3, side, side) float32, the calibration set.
        method: a `CalibrationMethod`: MinMax, Entropy or Percentile.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._images: Iterator[np.ndarray] = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._images, None)
            return None if image is None else {"input": image[None]}

    prepared = result.with_name(f"prepared-{result.name}")
    quant_pre_process(str(source), str(prepared))
    quantize_static(
        str(prepared),
        str(result),
        Reader(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[method],
    )


def ai_edge_quantizer(source: Path, result: Path, images: np.ndarray, method: str) -> None:
    """ai-edge-quantizer's static int8 recipe.

    Args:
        source: the float32 .tflite file.
        result: where to write.
        images: (n, 3, side, side) float32, the calibration set.
        method: `default`, a moving average of each sample's range, or `min_max`.
    """
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, quantizer, recipe
    from ai_edge_quantizer.utils import qsv_utils

    logging.getLogger().setLevel(logging.ERROR)
    (signature,) = Interpreter(model_path=str(source)).get_signature_list().values()
    (name,) = signature["inputs"]
    samples = {"serving_default": [{name: image.transpose(1, 2, 0)[None]} for image in images]}
    stock = quantizer.Quantizer(str(source))
    stock.load_quantization_recipe(recipe.static_wi8_ai8())
    if method == "default":
        ranges = stock.calibrate(samples)
    else:
        observer = calibrator.Calibrator(str(source), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
        observer.calibrate(samples, model_recipe_manager=stock._recipe_manager)
        ranges = observer.get_model_qsvs()
    stock.quantize(ranges).export_model(str(result), overwrite=True)


def torchao_pt2e(model: nn.Module, images: Tensor) -> nn.Module:
    """torchao's PT2E with its quantiser for x86: per_channel int8 weights, uint8 activations from histograms.

    It knows layers by their class: of a subclass of nn.Conv2d it would store nothing in int8, and say nothing.

    Args:
        model: in evaluation mode.
        images: (n, 3, side, side) float32, the calibration set.

    Returns:
        A simulation in torch, which takes one image at a time.

    Raises:
        RuntimeError: the weights of a layer are left in float.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    exported = torch.export.export(pad_apart(model, images[:1]), (images[:1],)).module()
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(exported, quantizer)
    with torch.no_grad():
        for image in images.split(1):
            prepared(image)
    converted = convert_pt2e(prepared)
    layers = [node for node in converted.graph.nodes if node.target in LAYERS]
    in_float = [node.name for node in layers if "dequantize" not in str(node.args[1].target)]
    if in_float:
        raise RuntimeError(f"torchao left {len(in_float)} of {len(layers)} layers in float, the first is {in_float[0]}")
    return converted


def pad_apart(model: nn.Module, image: Tensor) -> nn.Module:
    """The same network with each padding that depends on the image's size as a layer before a plain convolution.

    Args:
        model: in evaluation mode.
        image: (1, 3, side, side), of the size that all will have.
    """
    model = copy.deepcopy(model)
    sizes: dict[nn.Module, torch.Size] = {}
    layers = [layer for layer in model.modules() if isinstance(layer, SameConv2d)]
    hooks = [layer.register_forward_pre_hook(lambda at, given: sizes.update({at: given[0].shape})) for layer in layers]
    with torch.no_grad():
        model(image)
    for hook in hooks:
        hook.remove()
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, SameConv2d):
                setattr(parent, name, _split(layer, sizes[layer]))
    return model


def _split(layer: SameConv2d, size: torch.Size) -> nn.Module:
    plain = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        groups=layer.groups,
        bias=layer.bias is not None,
    )
    plain.load_state_dict(layer.state_dict())
    return nn.Sequential(nn.ZeroPad2d(layer.edges(size)), plain).eval()


PEERS: dict[str, tuple[Callable[[Path, Path, np.ndarray, str], None], str, str]] = {
    "ONNX Runtime, min-max": (onnx_runtime, "MinMax", "onnx"),
    "ONNX Runtime, entropy": (onnx_runtime, "Entropy", "onnx"),
    "ONNX Runtime, percentile": (onnx_runtime, "Percentile", "onnx"),
    "ai-edge-quantizer, default": (ai_edge_quantizer, "default", "tflite"),
    "ai-edge-quantizer, min-max": (ai_edge_quantizer, "min_max", "tflite"),
}
"""Name -> quantiser, its method, the format that it reads and writes."""
