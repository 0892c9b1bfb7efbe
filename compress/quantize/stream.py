"""A graph run node by node over a whole data set, so that a layer can be changed before its readers see it.

Repair walks the float and the quantised graph side by side. Each node is computed once over all batches and forgotten
after its last reader: the memory is that of a few activations of the whole set, not of the graph's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, fx

from compress.errors import ModelError
from compress.quantize.capture import FORWARD_ERRORS, constant_of
from compress.quantize.refusals import first_line


class Stream:
    """The state of one pass over a graph.

    Constants, and what is computed from them alone, are read anew at each use: a change of a buffer takes effect at
    once.
    """

    def __init__(self, graph: fx.GraphModule, data: Tensor, batch_size: int) -> None:
        """Start before the first node.

        Args:
            graph: one placeholder.
            data: (n, ...) float32.
            batch_size: of the batches in which nodes are computed.
        """
        self._graph = graph
        self._batches = torch.split(data, batch_size)
        self._waiting = list(reversed(graph.graph.nodes))
        self._values: dict[fx.Node, list[Any]] = {}
        self._readers = {node: set(node.users) for node in graph.graph.nodes}

    def advance(self, name: str) -> fx.Node:
        """Compute every node before the one with this name; return that one, still to be computed."""
        while self._waiting[-1].name != name:
            self._compute(self._waiting.pop())
        return self._waiting[-1]

    def arguments(self, node: fx.Node) -> Iterator[tuple[Any, ...]]:
        """The node's positional arguments, batch by batch."""
        for number in range(len(self._batches)):
            yield self._arguments(node, number)[0]

    def outputs(self, node: fx.Node) -> Iterator[Tensor]:
        """What a node that comes next would compute, batch by batch; it is not kept."""
        for arguments in self.arguments(node):
            yield cast(Tensor, cast(Callable[..., Any], node.target)(*arguments, **node.kwargs))

    def _compute(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._values[node] = list(self._batches)
        elif node.op == "call_function" and any(source in self._values for source in node.all_input_nodes):
            self._values[node] = [self._call(node, number) for number in range(len(self._batches))]
        for source in node.all_input_nodes:
            self._readers[source].discard(node)
            if not self._readers[source]:
                self._values.pop(source, None)

    def _call(self, node: fx.Node, number: int) -> Any:
        arguments, keywords = self._arguments(node, number)
        try:
            return cast(Callable[..., Any], node.target)(*arguments, **keywords)
        except FORWARD_ERRORS as error:
            raise ModelError(
                f"the model cannot run on the calibration set: {first_line(error)}; "
                "expected images like the example; check the task's input"
            ) from error

    def _arguments(self, node: fx.Node, number: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return cast(Any, fx.map_arg((node.args, node.kwargs), lambda source: self._read(source, number)))

    def _read(self, node: fx.Node, number: int) -> Any:
        if node in self._values:
            return self._values[node][number]
        return constant_of(self._graph, node) if node.op == "get_attr" else self._call(node, number)
