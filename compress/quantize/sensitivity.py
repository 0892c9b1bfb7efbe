"""What it costs to quantise one layer alone: where the decibels of a whole model go.

Each part of the graph is rounded while all others stay in float, and the logits are held against the float model's. The
costs of parts do not add up exactly, but their order decides which layers to exempt (Nagel et al. 2021, "A white paper
on neural network quantization", section 3.7). No label is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from compress.quantize.capture import constant_of, module_path
from compress.quantize.placement import place
from compress.quantize.trainable import Rounding, TrainableGraph

BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What rounding one part of a model costs.

    layer: where it is in the user's model, e.g. `blocks.0.conv (aten.conv2d.default)`.
    node: its name in the graph, by which a scheme exempts it.
    parameters: of its weight and bias; 0 for a value without any.
    sqnr_db: signal to noise of the logits, in dB, against float; infinite if nothing changed.
    agreement: share of the images that keep their class.
    """

    layer: str
    node: str
    parameters: int
    sqnr_db: float
    agreement: float


def measure_sensitivity(trainable: TrainableGraph, images: Tensor) -> tuple[Sensitivity, ...]:
    """Round every part of the model alone.

    Args:
        trainable: from `compress.quantize.prepare`; left as it was.
        images: (n, ...) float32, without labels, n >= 1; a few dozen tell the order of the layers.

    Returns:
        One entry per layer (weight, bias and output), and per other value that becomes integers; in graph order.
    """
    parts = _parts(trainable)
    everything = [module for modules in parts.values() for module in modules]
    with _only((), everything):
        expected = run(trainable, images)
    found = []
    for node, modules in parts.items():
        with _only(modules, everything):
            got = run(trainable, images)
        found.append(
            Sensitivity(
                layer=module_path(node),
                node=node.name,
                parameters=_parameters(trainable.float_graph, node),
                sqnr_db=signal_to_noise(expected, got),
                agreement=agreement(expected, got),
            )
        )
    return tuple(found)


def measure_whole(trainable: TrainableGraph, images: Tensor) -> tuple[float, float]:
    """sqnr_db and agreement where everything is rounded; arguments as for `measure_sensitivity`."""
    expected, got = run(trainable.float_graph, images), run(trainable, images)
    return signal_to_noise(expected, got), agreement(expected, got)


def signal_to_noise(expected: Tensor, got: Tensor) -> float:
    """10 log10 of the power of `expected` over that of the difference, in dB."""
    noise = float((got - expected).double().square().sum())
    signal = float(expected.double().square().sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def agreement(expected: Tensor, got: Tensor) -> float:
    """Share of the images that keep their class."""
    return float((expected.flatten(1).argmax(1) == got.flatten(1).argmax(1)).float().mean())


@torch.no_grad()
def run(model: nn.Module, images: Tensor) -> Tensor:
    """Logits of all images, batch by batch."""
    return torch.cat([model(batch) for batch in images.split(BATCH_SIZE)])


def _parts(trainable: TrainableGraph) -> dict[fx.Node, list[Rounding]]:
    """What rounds each part: a layer and its output belong together, every other value stands alone."""
    plan = place(trainable.float_graph)
    owner = {layer.output.name: layer.node.name for layer in plan.layers}
    parts: dict[str, list[Rounding]] = {}
    for module in trainable.modules():
        if isinstance(module, Rounding):
            parts.setdefault(owner.get(module.node, module.node), []).append(module)
    return {node: parts[node.name] for node in trainable.float_graph.graph.nodes if node.name in parts}


@contextmanager
def _only(chosen: Sequence[Rounding], everything: Sequence[Rounding]) -> Iterator[None]:
    for rounding in everything:
        rounding.enabled = rounding in chosen
    try:
        yield
    finally:
        for rounding in everything:
            rounding.enabled = True


def _parameters(graph: fx.GraphModule, node: fx.Node) -> int:
    constants = [constant_of(graph, argument) for argument in node.args]
    return sum(constant.numel() for constant in constants if constant is not None)
