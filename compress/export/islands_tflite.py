"""Layers that stay in float among integers, for LiteRT's converter.

Of a float layer between a dequantisation and a quantisation it makes an integer layer, with scales of its own for the
weights. So such a layer reads its input through two operators which have no integer form and which nobody would write,
cos(sin(x)); once the file is converted, they are taken out again.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import fx

from compress.errors import ModelError
from compress.export.tflite_file import BUILTIN, TfliteFile

aten, qd = torch.ops.aten, torch.ops.quantized_decomposed
SINE, COSINE = aten.sin.default, aten.cos.default
LAYERS = (aten.conv2d.default, aten.linear.default)


def has_islands(graph: fx.GraphModule) -> bool:
    """Whether a layer with a float weight reads dequantised values."""
    return any(_is_island(node) for node in graph.graph.nodes)


def fence_islands(graph: fx.GraphModule) -> fx.GraphModule:
    """A copy in which every such layer reads its input through a fence.

    Raises:
        ModelError: the model has a cos(sin(x)) of its own, which would be taken out too.
    """
    fenced = copy.deepcopy(graph)
    islands = [node for node in fenced.graph.nodes if _is_island(node)]
    if any(node.target is COSINE and node.args[0].target is SINE for node in fenced.graph.nodes):
        raise ModelError(
            "the model computes cos(sin(x)), which stands for something else while layers are kept in float; expected "
            "any other function; use static_int8, or export to onnx only"
        )
    for node in islands:
        with fenced.graph.inserting_before(node):
            value = fenced.graph.call_function(SINE, (node.args[0],))
            node.update_arg(0, fenced.graph.call_function(COSINE, (value,)))
    fenced.recompile()
    return fenced


def remove_fences(content: bytes) -> bytes:
    """The converted file without what `fence_islands` put in."""
    file = TfliteFile(content)
    sines = {int(op.outputs[0]): op for op in file.graph.operators if file.kind(op) == BUILTIN.SIN}
    cosines = [op for op in file.graph.operators if file.kind(op) == BUILTIN.COS and int(op.inputs[0]) in sines]
    fences = [sines[int(op.inputs[0])] for op in cosines]
    for sine, cosine in zip(fences, cosines, strict=True):
        cosine.inputs = list(sine.inputs)
    file.bypass(cosines)
    read = {int(index) for op in file.graph.operators for index in op.inputs} | set(map(int, file.graph.outputs))
    file.bypass([sine for sine in fences if int(sine.outputs[0]) not in read])  # the model may have merged its own
    return file.pack()


def _is_island(layer: fx.Node) -> bool:
    if layer.target not in LAYERS:
        return False
    source, weight = cast(tuple[fx.Node, fx.Node], layer.args[:2])
    return weight.op == "get_attr" and source.target is qd.dequantize_per_tensor.default
