"""Linear layers over sequences as linear layers over rows, for ONNX.

A linear layer becomes a Gemm, which ONNX Runtime computes in integers together with its bias, if its input is a matrix.
Of any other rank it becomes a MatMul and an Add, whose bias is added in float. The reshapes move integers.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

aten = torch.ops.aten
qd = torch.ops.quantized_decomposed


def with_rows(graph: fx.GraphModule, batch: torch.Tensor) -> fx.GraphModule:
    """A copy of a quantised graph in which every quantised linear layer reads and writes matrices.

    Args:
        graph: with `quantized_decomposed` nodes.
        batch: an input, which fixes every size but the first.
    """
    graph = copy.deepcopy(graph)
    ShapeProp(graph).propagate(batch)
    for node in list(graph.graph.nodes):
        if node.target is aten.linear.default and len(_shape(node)) != 2:
            source = cast(fx.Node, node.args[0])
            if source.target is qd.dequantize_per_tensor.default:
                _read_rows(graph, node, source)
                _write_rows(graph, node)
    graph.graph.lint()
    graph.recompile()
    return graph


def _shape(node: fx.Node) -> list[int]:
    return list(node.meta["tensor_meta"].shape)


def _read_rows(graph: fx.GraphModule, layer: fx.Node, source: fx.Node) -> None:
    with graph.graph.inserting_before(layer):
        rows = graph.graph.call_function(aten.reshape.default, (source.args[0], [-1, _shape(source)[-1]]))
        layer.update_arg(0, graph.graph.call_function(qd.dequantize_per_tensor.default, (rows, *source.args[1:])))


def _write_rows(graph: fx.GraphModule, layer: fx.Node) -> None:
    """The shape comes back after the layer's QuantizeLinear, behind the clip that it is fused with, if any."""
    last = layer
    while len(last.users) == 1 and (user := next(iter(last.users))).target in (
        aten.relu.default,
        aten.hardtanh.default,
        qd.quantize_per_tensor.default,
    ):
        last = user
        if last.target is qd.quantize_per_tensor.default:
            break
    readers = list(last.users)
    with graph.graph.inserting_after(last):
        back = graph.graph.call_function(aten.reshape.default, (last, [-1, *_shape(layer)[1:]]))
    for reader in readers:
        reader.replace_input_with(last, back)
