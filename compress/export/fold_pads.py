"""In ONNX, the zeros around an image as an attribute of the convolution that reads it, not as a copy of the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

_BETWEEN = ("DequantizeLinear", "QuantizeLinear", "Pad", "DequantizeLinear")


def fold_pads(model: ModelProto) -> None:
    """Let integer convolutions pad by themselves, in place; float ones do already, by the converter.

    Where scale and zero_point are the same before and after a pad, its zeros are those of a convolution's own padding.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    maker = {output: node for node in model.graph.node for output in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    readers.update(output.name for output in model.graph.output)
    for node in list(model.graph.node):
        chain = _makers(maker, node) if node.op_type == "Conv" else []
        edges = _edges(chain[2], constants) if chain else None
        if edges is None or chain[1].input[1:] != chain[3].input[1:]:
            continue
        if any(readers[output] > 1 for inner in chain[:3] for output in inner.output):
            continue
        own = next((attribute for attribute in node.attribute if attribute.name == "pads"), None)
        if own is not None:
            edges = [mine + more for mine, more in zip(own.ints, edges, strict=True)]
            node.attribute.remove(own)
        node.attribute.append(helper.make_attribute("pads", edges))
        node.input[0] = chain[3].output[0]
        for inner in chain[:3]:
            model.graph.node.remove(inner)


def _makers(maker: dict[str, NodeProto], node: NodeProto) -> list[NodeProto]:
    """What makes the image of a convolution, last first; empty unless that is a pad between roundings."""
    chain: list[NodeProto] = []
    for kind in _BETWEEN:
        source = maker.get(node.input[0])
        if source is None or source.op_type != kind:
            return []
        chain.append(source)
        node = source
    return chain


def _edges(pad: NodeProto, constants: dict[str, TensorProto]) -> Sequence[int] | None:
    """Rows and columns of zeros in the order of a convolution's `pads`; None if it pads anything else."""
    mode = next((attribute.s for attribute in pad.attribute if attribute.name == "mode"), b"constant")
    values = [numpy_helper.to_array(constants[name]) for name in pad.input[1:] if name in constants]
    if mode != b"constant" or len(values) != len(pad.input) - 1 or any(value.any() for value in values[1:]):
        return None
    before, after = values[0].reshape(2, -1).tolist()
    if any(before[:2] + after[:2]) or min(before + after) < 0:
        return None
    return [*before[2:], *after[2:]]
