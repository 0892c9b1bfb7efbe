"""What a user reads when `torch.export` refuses a model: the reason, the line of the model's source, and what to do."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, fx

from compress.errors import ModelError

_NOT_THE_MODEL = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")
_ADVICE = {
    "data-dependent": "replace the branch or the size that depends on values by torch.where or a mask",
    "Constraints violated": "take the batch size from the input's shape, never from a number",
}


def refused(name: str, shape: Sequence[int], error: BaseException) -> ModelError:
    """The error to raise for what `torch.export` raised at the model `name` with an input of `shape`."""
    reason = _reason(error)
    advice = next((text for words, text in _ADVICE.items() if words in str(error)), "change the model there")
    return ModelError(
        f"torch.export refuses {name} with input {tuple(shape)}{_where(error)}: {reason}; expected a forward pass of "
        f"one tensor without data-dependent control flow and with a free batch size; {advice}"
    )


def check_shapes(graph: fx.GraphModule, name: str) -> None:
    """Raise where a size depends on the values of a tensor, as those of `x[x > 0]` or `nonzero` do.

    Raises:
        ModelError: with the operator and the line of the model's source.
    """
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols  # with SymPy: half a second

    for node in graph.graph.nodes:
        value = node.meta.get("val")
        values = value if isinstance(value, tuple | list) else (value,)
        if any(isinstance(v, Tensor) and free_unbacked_symbols(v) for v in values):
            raise ModelError(
                f"{node.target} in {name}{_recorded(node)} gives a tensor whose size depends on the values of another; "
                "expected sizes that follow from the input's shape, which both formats need; "
                "keep all elements and multiply by a mask"
            )


def first_line(error: BaseException) -> str:
    """What the library said, without the pages that follow."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _reason(error: BaseException) -> str:
    """The first line, or the one that explains it: torch.export lists the dimensions that were fixed below."""
    listed = [line.strip(" -") for line in str(error).splitlines() if line.startswith("  - ")]
    said = first_line(error)
    return listed[0].split(". If you're")[0] if listed and "Constraints violated" in said else said.rstrip(".")


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_MODEL)]
    return f", at {ours[-1].filename}:{ours[-1].lineno} ({ours[-1].line})" if ours else ""


def _recorded(node: fx.Node) -> str:
    """Where the node was traced: its stack trace is pairs of lines, `File "...", line n, in f` and the source."""
    lines = [line.strip() for line in str(node.meta.get("stack_trace") or "").splitlines()]
    places = [i for i, line in enumerate(lines[:-1]) if line.startswith("File ") and str(_NOT_THE_MODEL[0]) not in line]
    if not places:
        return ""
    file, line = lines[places[-1]].removeprefix('File "').split('", line ')
    return f", at {file}:{line.split(',')[0]} ({lines[places[-1] + 1]}),"
