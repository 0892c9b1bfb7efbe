"""ONNX: one file, dynamic batch, quantised values as QuantizeLinear and DequantizeLinear (QDQ) pairs."""

from __future__ import annotations

import copy
import functools
from typing import cast

import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from torch import fx

from compress.errors import ModelError
from compress.export.fold_pads import fold_pads
from compress.export.islands_onnx import keep_islands
from compress.export.quiet import quiet
from compress.export.rows import with_rows
from compress.export.stored_weights import STORED_WEIGHTS, make_carrier, read_stored_weights
from compress.export.weights_onnx import INT4_OPSET, restore_weights
from compress.types import CALIBRATED, Precision

OPSET = 20
CONVERTER_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)
"""What PyTorch's and LiteRT's converters raise at a model that they do not take."""


def to_onnx(module: torch.nn.Module, precision: Precision, example: torch.Tensor) -> bytes:
    """The ONNX file's content; arguments and errors as in `compress.export.export`."""
    if precision in STORED_WEIGHTS:
        graph = cast(fx.GraphModule, module)
        weights = read_stored_weights(graph)
        opset = INT4_OPSET if precision == "weight_only_int4" else OPSET
        model = _convert(make_carrier(graph, weights), example, opset)
        restore_weights(model, weights)
    elif precision in CALIBRATED:
        model = _convert(with_rows(cast(fx.GraphModule, module), torch.cat([example, example])), example, OPSET)
    else:
        model = _convert(_HalfInside(module) if precision == "float16" else module, example, OPSET)
    fold_pads(model)
    _use_integer_kernels(model)
    keep_islands(model)
    _give_each_weight_its_zero_point(model)
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _convert(module: torch.nn.Module, example: torch.Tensor, opset: int) -> ModelProto:
    batch = torch.cat([example, example])  # torch.export specialises on a batch of 1
    _keep_operators()
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (batch,),
                dynamo=True,
                opset_version=opset,
                input_names=["input"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=65536)},),
                external_data=False,
                verbose=False,
            )
    except CONVERTER_ERRORS as error:
        raise ModelError(
            f"torch.onnx.export refuses the graph: {first_line(error)}; expected operators that opset {opset} can "
            "express; replace the operator or export to tflite only"
        ) from error
    if program is None:
        raise ModelError("torch.onnx.export returned nothing; expected a program; report the model")
    return program.model_proto


@functools.cache
def _keep_operators() -> None:
    """Let torch.onnx.export read the source of its thousand operators once a process, not once a file (0.5 s)."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))  # type: ignore[method-assign]


def first_line(error: BaseException) -> str:
    """What the library said, without the pages that follow."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _use_integer_kernels(model: ModelProto) -> None:
    """Spell two operators so that ONNX Runtime finds its integer kernels for them.

    It has one for GlobalAveragePool and none for the same ReduceMean. The zero_point of an int32 bias is always 0, and
    ONNX wants it left out.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "ReduceMean" and _is_global_pool(node, constants):
            node.op_type = "GlobalAveragePool"
            del node.attribute[:], node.input[1:]
        elif node.op_type == "DequantizeLinear" and _is_int32(constants.get(node.input[0])):
            del node.input[2:]
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _give_each_weight_its_zero_point(model: ModelProto) -> None:
    """The converter lets weights share one tensor of zero points, which makes x86 processors without VNNI fail.

    There ONNX Runtime's int8 products saturate at 16 bits (8 of 100 classes changed in one small net) unless the app
    sets `session.x64quantprecision`; and with that set, it converts the same zero points once per weight and refuses.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants or len(node.input) < 3:
            continue
        if node.input[2] in taken:
            own = copy.deepcopy(constants[node.input[2]])
            own.name = f"{own.name}_{number}"
            model.graph.initializer.append(own)
            node.input[2] = own.name
        taken.add(node.input[2])


def _is_int32(tensor: TensorProto | None) -> bool:
    return tensor is not None and tensor.data_type == TensorProto.INT32


def _is_global_pool(node: NodeProto, constants: dict[str, TensorProto]) -> bool:
    keeps = next((a.i for a in node.attribute if a.name == "keepdims"), 1)
    axes = constants.get(node.input[1]) if len(node.input) > 1 else None
    return bool(keeps) and axes is not None and sorted(numpy_helper.to_array(axes).tolist()) == [2, 3]


class _HalfInside(torch.nn.Module):
    """float32 in and out, float16 between.

    PyTorch does the conversion rather than onnxruntime.transformers.float16, which clips weights to [1e-7, 1e4] in
    silence and writes graphs that are not sorted, which ONNX forbids.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.inner = copy.deepcopy(module).half()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(image.half() if image.is_floating_point() else image)  # else token ids
        return logits.float()


def _strip(model: ModelProto) -> None:
    """Remove stack traces, paths and producer versions, which are most of the file and differ between machines."""
    model.producer_name, model.producer_version = "compress", ""
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "main"
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    _rename(model)
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.ClearField("doc_string")
        del part.metadata_props[:]


def _rename(model: ModelProto) -> None:
    """Call nodes and their outputs by operator and position; the converter's names are a quarter of a small file."""
    outputs = {value.name for value in model.graph.output}
    short = {"QuantizeLinear": "Q", "DequantizeLinear": "DQ"}
    renamed: dict[str, str] = {}
    for number, node in enumerate(model.graph.node):
        node.name = f"{short.get(node.op_type, node.op_type)}_{number}"
        for position, output in enumerate(node.output):
            if output and output not in outputs:
                renamed[output] = f"{node.name}:{position}" if position else node.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
