"""Quantisation-aware training: the float graph, with rounding in the forward pass that lets gradients through.

- Weights are rounded by the very scales that export will store, recomputed at every step from the weights as they are
  (Jacob et al. 2018, section 3); gradients pass straight through the rounding (Bengio et al. 2013).
- Ranges of activations stay as they were calibrated: at 8 bits the weights adapt to them in an epoch, and a range that
  moves would need its limits in both runtimes checked at every step.
- Batch norm is folded before: what trains is what ships, and no statistics are left to drift.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, fx, nn

from compress.errors import ModelError
from compress.quantize import parameters
from compress.quantize.capture import constant_of
from compress.quantize.insert import insert
from compress.quantize.parameters import QParams
from compress.quantize.placement import Layer, Plan, place
from compress.types import Json

_ACTIVATION = (parameters.ACTIVATION_MIN, parameters.ACTIVATION_MAX)


class TrainableGraph(nn.Module):
    """What the integer runtimes will compute, as a module whose weights train.

    `forward` maps (n, ...) float32 to float32 logits, any n. In evaluation mode it does the same as in training mode.
    """

    def __init__(self, graph: fx.GraphModule, qparams: Sequence[QParams]) -> None:
        """Put the rounding into a copy of the graph.

        Args:
            graph: float graph, batch norm folded; kept as it is.
            qparams: one per group of `place(graph)`.
        """
        super().__init__()
        self._float, self._qparams = [graph], tuple(qparams)  # in a list: its buffers are not this module's
        self.simulated = copy.deepcopy(graph)
        _simulate(self.simulated, place(self.simulated), self._qparams)

    @property
    def float_graph(self) -> fx.GraphModule:
        """What it was made from, with the weights from before training."""
        return self._float[0]

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of (n, ...) inputs."""
        logits: Tensor = self.simulated(inputs)
        return logits

    def stored(self) -> tuple[fx.GraphModule, dict[str, Json], tuple[tuple[str, str], ...]]:
        """The graph that export understands, with the weights as they are now.

        Returns:
            The graph, the table of its parameters, and what it leaves in float, as `compress.quantize.quantize` does.

        Raises:
            ModelError: a weight is not finite.
        """
        graph = copy.deepcopy(self.float_graph)
        for name, parameter in self.simulated.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise ModelError(
                    f"weight {name} holds NaN or infinity after training; expected finite weights; lower learning_rate"
                )
            graph.get_buffer(name).copy_(parameter.detach().cpu())
        plan = place(graph)
        return graph, insert(graph, plan, self._qparams), plan.left_in_float


class Rounding(nn.Module):
    """What rounds one tensor of the graph, unless it is switched off.

    node: name of the value in the graph, or of the layer whose weight or bias it rounds.
    """

    def __init__(self, node: str) -> None:
        super().__init__()
        self.node, self.enabled = node, True


class _RoundedWeight(Rounding):
    """A layer's weight as int8 steps, per_channel along dimension 0."""

    def __init__(self, node: str, source: QParams, output: QParams) -> None:
        super().__init__(node)
        self._source, self._output = source, output

    def forward(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The nearest steps of the weight, in the same shape; the bias may demand coarser ones."""
        if not self.enabled:
            return weight
        with torch.no_grad():
            scales = parameters.weight_scales(weight, bias, self._source, self._output)
            zeros = torch.zeros_like(scales, dtype=torch.int32)
        limits = (-parameters.WEIGHT_MAX, parameters.WEIGHT_MAX)
        return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, *limits)


class _RoundedBias(Rounding):
    """A layer's bias as int32 steps of its accumulator."""

    def __init__(self, node: str, source: QParams, output: QParams) -> None:
        super().__init__(node)
        self._source, self._output = source, output

    def forward(self, weight: Tensor, bias: Tensor) -> Tensor:
        """The nearest steps of the bias (filters,), for the weight that it comes with."""
        if not self.enabled:
            return bias
        with torch.no_grad():
            scales = parameters.weight_scales(weight, bias, self._source, self._output)
            accumulator = parameters.bias_scales(self._source, scales)
            error = parameters.quantize_bias(bias, accumulator) * accumulator - bias
        return bias + error


class _RoundedValue(Rounding):
    """An activation as int8 steps; what lies outside the range gets no gradient."""

    def __init__(self, node: str, q: QParams) -> None:
        super().__init__(node)
        self._q = q

    def forward(self, value: Tensor) -> Tensor:
        """The nearest steps of the value, in the same shape."""
        if not self.enabled:
            return value
        return torch.fake_quantize_per_tensor_affine(value, self._q.scale, self._q.zero_point, *_ACTIVATION)


def _simulate(graph: fx.GraphModule, plan: Plan, qparams: Sequence[QParams]) -> None:
    of_value = {value: qparams[number] for number, group in enumerate(plan.groups) for value in group}
    for number, layer in enumerate(plan.layers):
        _train_layer(graph, layer, of_value, number)
    for user, position in plan.constants:
        _round_operand(graph, user, position)
    for value, q in of_value.items():
        _round_value(graph, value, q)
    graph.graph.lint()
    graph.recompile()


def _train_layer(graph: fx.GraphModule, layer: Layer, of_value: Mapping[fx.Node, QParams], number: int) -> None:
    node, limits = layer.node, (of_value[layer.source], of_value[layer.output])
    constants = [argument for argument in node.args[1:3] if isinstance(argument, fx.Node)]
    for constant in constants:
        _make_parameter(graph, str(constant.target))
    parts: list[tuple[str, nn.Module]] = [
        ("weight", _RoundedWeight(node.name, *limits)),
        ("bias", _RoundedBias(node.name, *limits)),
    ]
    with graph.graph.inserting_before(node):
        for position, (name, module) in zip(range(1, len(constants) + 1), parts, strict=False):
            graph.add_submodule(f"{name}_{number}", module)
            both = (*constants, None)[:2]
            node.update_arg(position, graph.graph.call_module(f"{name}_{number}", both))


def _make_parameter(graph: fx.GraphModule, name: str) -> None:
    if name in dict(graph.named_buffers()):  # a weight that two layers share is met twice
        value = graph.get_buffer(name)
        delattr(graph, name)
        graph.register_parameter(name, nn.Parameter(value.clone()))


def _round_operand(graph: fx.GraphModule, user: fx.Node, position: int) -> None:
    source = cast(fx.Node, user.args[position])
    value = cast(Tensor, constant_of(graph, source))
    q = parameters.activation_qparams(float(value.min()), float(value.max()))
    rounded = torch.fake_quantize_per_tensor_affine(value, q.scale, q.zero_point, *_ACTIVATION)
    name = f"{user.name}_operand_{position}"
    graph.register_buffer(name, rounded)
    with graph.graph.inserting_before(user):
        user.update_arg(position, graph.graph.get_attr(name))


def _round_value(graph: fx.GraphModule, value: fx.Node, q: QParams) -> None:
    users, name = list(value.users), f"rounded_{value.name}"
    graph.add_submodule(name, _RoundedValue(value.name, q))
    with graph.graph.inserting_after(value):
        rounded = graph.graph.call_module(name, (value,))
    for user in users:
        user.replace_input_with(value, rounded)
