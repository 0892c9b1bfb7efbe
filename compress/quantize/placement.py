"""Where quantisation goes: which values become integers, which share parameters, what stays in float and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, fx

from compress.quantize.capture import add_constant, call, constant_of, module_path
from compress.quantize.rules import ADDITIONS, PRODUCTS, RULES, Rule, fuses


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution or linear node, its quantised input, and the node whose output is quantised (its activation)."""

    node: fx.Node
    source: fx.Node
    output: fx.Node

    def activate(self, value: Tensor) -> Tensor:
        """What the fused activation makes of the layer's own output; the same where there is none."""
        if self.output is self.node:
            return value
        return cast(Callable[..., Any], self.output.target)(value, *self.output.args[1:])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `place` decided.

    groups: every quantised value, once; the values of one group share scale and zero_point. In graph order.
    fixed: index into groups -> the (scale, zero_point) that the runtimes prescribe.
    layers: in graph order.
    sums: (operand, operand, output) of every addition of two quantised values.
    products: (multiplication or matrix product, output), operands quantised values or constants.
    constants: (user, position of the argument) of constant operands of additions and multiplications.
    left_in_float: (where, reason) of every operator that does not run on integers.
    """

    groups: tuple[tuple[fx.Node, ...], ...]
    fixed: dict[int, tuple[float, int]]
    layers: tuple[Layer, ...]
    sums: tuple[tuple[fx.Node, fx.Node, fx.Node], ...]
    products: tuple[tuple[fx.Node, fx.Node], ...]
    constants: tuple[tuple[fx.Node, int], ...]
    left_in_float: tuple[tuple[str, str], ...]


def place(graph: fx.GraphModule, exempt: Mapping[str, str] = MappingProxyType({})) -> Plan:
    """Walk the normalised graph once, in order, and decide for every operator by its rule.

    Multiplications by 1 are put in where a scale has to change; the plan of a graph that was planned is the same.

    Args:
        graph: normalised, batch norm folded.
        exempt: names of layers that stay in float together with the clip that is fused with them, and why. What still
            runs on integers does so as without them: its groups are parts of those groups.
    """
    walk = _Walk(graph, exempt)
    for node in graph.graph.nodes:
        computes = isinstance(node.meta.get("val"), Tensor | tuple | list)  # a dimension's size does not
        if node.op == "call_function" and computes and node not in walk.fused:
            walk.visit(node)
    return walk.plan()


class _Walk:
    """The state of one pass over the graph: groups of values, merged as operators that share are met."""

    def __init__(self, graph: fx.GraphModule, exempt: Mapping[str, str]) -> None:
        self.graph, self.exempt = graph, exempt
        self.fused: set[fx.Node] = set()
        self.integers: set[fx.Node] = {
            node for node in graph.graph.nodes if node.op == "placeholder" and _is_real(node)
        }
        self.group: dict[fx.Node, list[fx.Node]] = {}
        self.fixed: dict[fx.Node, tuple[float, int]] = {}
        self.layers: list[Layer] = []
        self.sums: list[tuple[fx.Node, fx.Node, fx.Node]] = []
        self.products: list[tuple[fx.Node, fx.Node]] = []
        self.constants: list[tuple[fx.Node, int]] = []
        self.left: list[tuple[str, str]] = []

    def visit(self, node: fx.Node) -> None:
        rule = RULES.get(node.target)
        reason = f"no integer kernel for {node.target} in both runtimes" if rule is None else self._refuse(node, rule)
        if rule is None or reason is not None:
            self.left.append((module_path(node), str(reason)))
            return
        if node.name in self.exempt:
            self._output(node, rule)
            self.left.append((module_path(node), self.exempt[node.name]))
            return
        if rule.output == "shared":
            self._free(node)
        sources = self._sources(node, rule)
        output = self._output(node, rule)
        for value in (*sources, output):
            self.group.setdefault(value, [value])
        if rule.output == "shared":
            self._merge((*sources, output))
        if rule.fixed is not None:
            self.fixed[output] = rule.fixed
        if rule.weighted:
            self.layers.append(Layer(node=node, source=sources[0], output=output))
        if node.target in ADDITIONS and len(sources) == 2:
            self.sums.append((sources[0], sources[1], output))
        if node.target in PRODUCTS:
            self.products.append((node, output))
        self.integers.add(output)

    def plan(self) -> Plan:
        groups = list({id(group): tuple(group) for group in self.group.values()}.values())
        fixed = {index: self.fixed[v] for index, group in enumerate(groups) for v in group if v in self.fixed}
        return Plan(
            groups=tuple(groups),
            fixed=fixed,
            layers=tuple(self.layers),
            sums=tuple(self.sums),
            products=tuple(self.products),
            constants=tuple(self.constants),
            left_in_float=tuple(self.left),
        )

    def _refuse(self, node: fx.Node, rule: Rule) -> str | None:
        value = node.meta["val"]
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return "its output is not one tensor of real numbers"
        if rule.output == "shared" and not any(value in self.integers for value in self._values(node)):
            return "it only moves values that are in float"
        return rule.refuse(self.graph, node)

    def _free(self, node: fx.Node) -> None:
        """Multiply inputs whose scale is prescribed by 1, to have them in the scale that all inputs of `node` share.

        Left in float, LiteRT's converter would quantise the operator all the same, by the scale of its first input;
        and of two QuantizeLinear in a row without an operator between, it forgets one.
        """
        values = self._values(node)
        for value in values if len(values) > 1 else ():
            if self._fixed_of(value) is not None:
                with self.graph.graph.inserting_before(node):
                    one = add_constant(self.graph, "one", torch.ones([1] * value.meta["val"].dim()))
                    copied = call(self.graph, value, torch.ops.aten.mul.Tensor, value, one)
                node.replace_input_with(value, copied)
                self.group[copied] = [copied]
                self.constants.append((copied, 1))
                self.products.append((copied, copied))
                self.integers.add(copied)

    def _values(self, node: fx.Node) -> list[fx.Node]:
        """The computed tensors of real numbers that the node reads, each once."""
        return [source for source in node.all_input_nodes if source.op != "get_attr" and _is_real(source)]

    def _fixed_of(self, value: fx.Node) -> tuple[float, int] | None:
        return next((self.fixed[v] for v in self.group.get(value, ()) if v in self.fixed), None)

    def _sources(self, node: fx.Node, rule: Rule) -> list[fx.Node]:
        if rule.weighted:
            return [cast(fx.Node, node.args[0])]
        constants = [(i, constant_of(self.graph, argument)) for i, argument in enumerate(node.args)]
        self.constants += [(node, i) for i, value in constants if value is not None and value.is_floating_point()]
        return self._values(node)

    def _output(self, node: fx.Node, rule: Rule) -> fx.Node:
        users = list(node.users)
        if rule.clips and len(users) == 1 and fuses(users[0]):
            self.fused.add(users[0])
            return users[0]
        return node

    def _merge(self, values: Iterable[fx.Node]) -> None:
        merged: list[fx.Node] = []
        for value in values:
            group = self.group[value]
            if group is not merged and not any(member in merged for member in group):
                merged += group
        for value in merged:
            self.group[value] = merged


def _is_real(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()
