"""From an `nn.Module` to a flat, functional graph that the rest of this room may rewrite.

- The batch dimension is left free, so that one graph serves calibration, simulation and both formats.
- Weights become buffers of the graph's root, copied: nothing done here reaches the caller's model.
- In-place operators and views disappear (`run_decompositions` makes the graph functional), so that replacing one
  operator by another can never change a third.
"""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from compress.errors import ModelError
from compress.quantize.refusals import check_shapes, refused

FORWARD_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)
"""What tracing or running somebody's forward pass can raise; anything else is a bug of ours or an interrupt."""


class BufferTracer(fx.Tracer):
    """How a graph is rebuilt when it is unpickled: reads of buffers stay nodes instead of being computed through."""

    proxy_buffer_attributes = True


def capture(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """Export the model's inference graph with `torch.export`.

    Args:
        model: takes one tensor, returns one tensor; left untouched.
        example: (1, ...) float32, or int64 token ids; fixes every dimension but the first.

    Returns:
        A graph of functional ATen operators, one placeholder `input`, one output tensor, constants as root buffers.

    Raises:
        ModelError: `torch.export` refuses the model, its batch size is hard-wired, a size in it depends on values, or
            it has several outputs.
    """
    private = copy.deepcopy(model).to(device="cpu", dtype=torch.float32).eval()
    dtype = torch.float32 if example.is_floating_point() else torch.int64  # token ids
    batch = torch.cat([example, example]).to(device="cpu", dtype=dtype)  # torch.export specialises on 0 and 1
    free_batch = ({0: torch.export.Dim("batch", min=1, max=65536)},)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(private, (batch,), dynamic_shapes=free_batch).run_decompositions({})
            exported = cast(fx.GraphModule, program.module(check_guards=False))
    except FORWARD_ERRORS as error:
        raise refused(type(model).__name__, example.shape, error) from error
    check_shapes(exported, type(model).__name__)
    return _flatten(exported, type(model).__name__)


def module_path(node: fx.Node) -> str:
    """Where the node comes from in the user's model, e.g. `blocks.0.act (aten.silu.default)`."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next((entry[0] for entry in reversed(list(stack.values()))), "")
    path = path.replace("L['self'].", "").replace("L['self']", "")
    return f"{path or node.name} ({node.target})"


def constant_of(graph: fx.GraphModule, node: object) -> Tensor | None:
    """The tensor behind a `get_attr` node, None for anything else."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    return cast(Tensor, operator.attrgetter(str(node.target))(graph))


def arguments(node: fx.Node, *defaults: object) -> tuple[Any, ...]:
    """The node's arguments, with those that it leaves out; `defaults` stand for all of them from the first on."""
    return (*node.args, *defaults[len(node.args) :])


def call(
    graph: fx.GraphModule, like: fx.Node, target: Callable[..., Any], *args: Any, shape: Sequence[Any] | None = None
) -> fx.Node:
    """A new call at the insertion point, with the origin of `like` and with its shape unless one is given."""
    node = graph.graph.call_function(target, args)
    node.meta = dict(like.meta)
    value = like.meta.get("val")
    if shape is not None and isinstance(value, Tensor):
        node.meta["val"] = value.new_empty(tuple(shape))
    return node


def add_constant(graph: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    """Register a copy as a buffer under a free name; return a new `get_attr` node at the insertion point."""
    free, count = name, 0
    while hasattr(graph, free):
        count += 1
        free = f"{name}_{count}"
    graph.register_buffer(free, value.detach().clone().contiguous())
    node = graph.graph.get_attr(free)
    node.meta["val"] = value
    return node


def drop_unused(graph: fx.GraphModule) -> fx.GraphModule:
    """Remove dead nodes and the buffers that no node reads, then recompile."""
    graph.graph.eliminate_dead_code()
    used = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in graph.named_buffers() if name not in used]:
        delattr(graph, name)
    graph.graph.lint()
    graph.recompile()
    return graph


def _flatten(exported: fx.GraphModule, model_name: str) -> fx.GraphModule:
    """Rebuild with buffers at the root and without torch.export's pytree calling convention."""
    flat = fx.GraphModule(nn.Module(), fx.Graph(tracer_cls=BufferTracer), class_name="Graph")
    copies: dict[fx.Node, fx.Node] = {}
    for node in exported.graph.nodes:
        if node.op == "get_attr":
            if node.users:
                copies[node] = add_constant(flat, str(node.target).replace(".", "_"), _finite(exported, node))
        elif node.op == "placeholder":
            copies[node] = flat.graph.placeholder("input")
            copies[node].meta = dict(node.meta)
        elif node.op == "output":
            flat.graph.output(copies[_only_output(node, model_name)])
        else:
            copies[node] = flat.graph.node_copy(node, copies.__getitem__)
    flat.eval()
    return drop_unused(flat)


def _finite(exported: fx.GraphModule, node: fx.Node) -> Tensor:
    value = constant_of(exported, node)
    if value is None:
        raise ModelError(f"{node.target} is not a tensor; expected parameters and buffers only; make it a buffer")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise ModelError(f"weight {node.target} holds NaN or infinity; expected finite weights; train the model again")
    return value


def _only_output(node: fx.Node, model_name: str) -> fx.Node:
    outputs = node.args[0] if isinstance(node.args[0], tuple | list) else (node.args[0],)
    if len(outputs) != 1 or not isinstance(outputs[0], fx.Node):
        raise ModelError(
            f"{model_name} returns {len(outputs)} values; expected one tensor; wrap it so that forward returns one"
        )
    return outputs[0]
