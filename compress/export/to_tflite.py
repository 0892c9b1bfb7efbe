"""TFLite: channel-last, one input at a time, quantised values as the integers they are."""

from __future__ import annotations

import copy
import operator
from typing import Any, cast

import torch
from torch import Tensor, fx

from compress.errors import ModelError
from compress.export.islands_tflite import fence_islands, has_islands, remove_fences
from compress.export.quiet import quiet
from compress.export.stored_weights import STORED_WEIGHTS, make_carrier, read_stored_weights
from compress.export.tidy_tflite import tidy
from compress.export.to_onnx import CONVERTER_ERRORS, first_line
from compress.export.weights_tflite import fence, restore_weights
from compress.types import CALIBRATED, Precision


def to_tflite(module: torch.nn.Module, precision: Precision, example: Tensor) -> bytes:
    """The TFLite file's content; arguments and errors as in `compress.export.export`."""
    with quiet(), torch.no_grad():
        if precision in STORED_WEIGHTS:
            return tidy(_convert_carrier(cast(fx.GraphModule, module), example))
        if precision in CALIBRATED and has_islands(graph := cast(fx.GraphModule, module)):
            return tidy(remove_fences(_convert(fence_islands(graph), example, quantised=True)))
        content = _convert(module, example, quantised=precision in CALIBRATED)
        if precision == "float16":
            content = _to_half(content)
    return tidy(content)


def _convert_carrier(graph: fx.GraphModule, example: Tensor) -> bytes:
    weights = read_stored_weights(graph)
    return restore_weights(_convert(fence(make_carrier(graph, weights)), example, quantised=True), weights)


def _convert(module: torch.nn.Module, example: Tensor, *, quantised: bool) -> bytes:
    # Imported here: 3.5 seconds, and ONNX does without.
    import litert_torch
    from litert_torch._config import config
    from litert_torch.quantize import pt2e_quantizer, quant_config

    config.show_progress = False
    _register_pad()
    static = None
    if quantised:
        # Chooses the converter's mode for graphs that hold their own quantisation; it adds none.
        scheme = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
        static = quant_config.QuantConfig(pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(scheme))
        module = _with_own_readers(_with_float_constants(module))
    if example.dim() == 4:
        module = litert_torch.to_channel_last_io(module, args=[0], outputs=_image_outputs(module, example))
        example = example.permute(0, 2, 3, 1).contiguous()
    try:
        edge = litert_torch.convert(module.eval(), (example,), quant_config=static)
    except CONVERTER_ERRORS as error:
        raise ModelError(
            f"litert_torch refuses the graph: {first_line(error)}; expected operators that TFLite can express; "
            "replace the operator or export to onnx only"
        ) from error
    return bytes(edge.model_content())


def _register_pad() -> None:
    """Teach the converter's layout pass that a zero-padded image can stay channel-last; it transposes twice instead."""
    from litert_torch._convert.fx_passes.optimize_layout_transposes_pass import layout_rewrite

    pad = torch.ops.aten.constant_pad_nd.default

    def move_channels_last(node: fx.Node) -> None:
        image, edges, *value = node.args
        width_height_channel = [*cast(list[int], edges), 0, 0, 0, 0, 0, 0][:6]
        node.args = (image, width_height_channel[4:] + width_height_channel[:4], *value)

    if pad not in layout_rewrite.rewriters:
        layout_rewrite.rewriters.register(pad)(move_channels_last)


def _image_outputs(module: torch.nn.Module, example: Tensor) -> list[int]:
    """Outputs to transpose to channel-last: a map of pixels is one, a row of logits is not."""
    outputs = module(example)
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    return [position for position, output in enumerate(several) if output.dim() == 4]


def _with_float_constants(module: torch.nn.Module) -> fx.GraphModule:
    """A copy in which dequantised integer constants are float ones, weights quantised anew by their own scales.

    The converter takes weights in that form only (`stablehlo.uniform_dequantize` wants a quantised operand), and biases
    as float, which it rounds to int32 by input scale * weight scale. Both roundings give the integers we started from.
    """
    qd = torch.ops.quantized_decomposed
    graph = copy.deepcopy(cast(fx.GraphModule, module))
    pairs = {
        qd.dequantize_per_channel.default: qd.quantize_per_channel.default,
        qd.dequantize_per_tensor.default: qd.quantize_per_tensor.default,
    }
    for node in list(graph.graph.nodes):
        if node.target not in pairs or cast(fx.Node, node.args[0]).op != "get_attr":
            continue
        stored, *parameters = (_value(graph, argument) for argument in node.args)
        name = f"{cast(fx.Node, node.args[0]).target}_real"
        graph.register_buffer(name, node.target(stored, *parameters))
        with graph.graph.inserting_before(node):
            real = graph.graph.get_attr(name)
            if cast(Tensor, stored).dtype == torch.int8:
                again = graph.graph.call_function(pairs[node.target], (real, *node.args[1:]))
                real = graph.graph.call_function(node.target, (again, *node.args[1:]))
        node.replace_all_uses_with(real)
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def _with_own_readers(graph: fx.GraphModule) -> fx.GraphModule:
    """Give every reader of a value a dequantisation of its own, in place.

    The converter's layout pass forgets the shape of one that it has moved for its first reader
    ("Attempting to convert non-NHWC compatible node to NHWC").
    """
    for node in list(graph.graph.nodes):
        if node.target is torch.ops.quantized_decomposed.dequantize_per_tensor.default:
            for reader in list(node.users)[1:]:
                with graph.graph.inserting_after(node):
                    reader.replace_input_with(node, graph.graph.node_copy(node))
    graph.recompile()
    return graph


def _value(graph: fx.GraphModule, argument: object) -> Any:
    if isinstance(argument, fx.Node):
        return operator.attrgetter(str(argument.target))(graph)
    return argument


def _to_half(content: bytes) -> bytes:
    """Weights as float16 with a DEQUANTIZE behind each, which the runtime executes once, while it loads."""
    from ai_edge_quantizer import qtyping, quantizer, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    options = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights,
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    recipe = recipe_manager.RecipeManager()
    recipe.add_quantization_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=options,
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )
    caster = quantizer.Quantizer(content, recipe.get_quantization_recipe())
    return bytes(caster.quantize().quantized_model)
