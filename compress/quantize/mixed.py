"""Which layers stay in float: those that the user names, or a few that an accuracy budget needs.

A layer in float reads and writes the same int8 values as before, by the same scales; what lies between two such layers
is not rounded at all. Float means float32: in float16 a layer would be converted back and forth by ONNX Runtime and
computed in float32 by LiteRT, neither of which is faster.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, fx

from compress.errors import ModelError, SchemeError
from compress.quantize.capture import constant_of, module_path
from compress.quantize.integers import Observed, Written, write
from compress.quantize.learner import Learner
from compress.quantize.placement import Plan
from compress.quantize.schemes import MixedInt8
from compress.quantize.sensitivity import Sensitivity, agreement, measure_sensitivity, run, signal_to_noise
from compress.quantize.trainable import TrainableGraph
from compress.quantize.windows import count_macs

_IMAGES = 64  # tell the order of the layers; whether the budget holds is judged on more
_HELD_OUT = 4  # one image in so many is kept from repairs that learn, and judges what they have learnt
_EXTRA_BYTES = 4 - 1  # of a float32 weight beside an int8 one; biases have 4 bytes in both
_HOPELESS = 0.9  # of the budget: with no more than this where all layers are in float, no choice of fewer is tried
Item = TypeVar("Item")
Found = TypeVar("Found", bound="_Choice")


class _Choice(Protocol):
    """What is known of some layers in float."""

    @property
    def exempt(self) -> Sequence[Any]: ...

    @property
    def reach(self) -> float: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class _Attempt:
    """An integer graph with some layers in float, and how near its logits are to those of float.

    reach: of what the scheme asks, the smaller share; 1 and more keeps its budget.
    """

    exempt: tuple[Sensitivity, ...]
    written: Written
    sqnr_db: float
    agreement: float
    reach: float


def write_mixed(observed: Observed, scheme: MixedInt8, learner: Learner | None = None) -> Written:
    """`write`, with layers left in float as the scheme says.

    Raises:
        ModelError: a layer that is named does not exist.
        SchemeError: no choice of layers keeps the budget.
    """
    if scheme.exempt:
        nodes = find_layers(observed.plan, scheme.exempt)
        reasons = {node.name: f"exempt by name; {_cost(observed.graph, node)}" for node in nodes}
        return write(observed, scheme, learner, reasons)
    dearest = sorted(_measure_layers(observed), key=lambda each: each.sqnr_db)
    observed, judging = _hold_out(observed, scheme)
    expected = run(observed.graph, judging)

    def attempt(exempt: Sequence[Sensitivity]) -> _Attempt:
        written = write(observed, scheme, learner, {each.node: _reason(observed, scheme, each) for each in exempt})
        logits = run(written.graph, judging)
        sqnr_db, agree = signal_to_noise(expected, logits), agreement(expected, logits)
        limits = ((sqnr_db, scheme.sqnr_db), (agree, scheme.agreement))
        reach = min(value / limit for value, limit in limits if limit is not None)
        return _Attempt(exempt=tuple(exempt), written=written, sqnr_db=sqnr_db, agreement=agree, reach=reach)

    best = attempt(dearest)
    if best.reach >= _HOPELESS:
        best = leave_fewest(dearest, attempt)
    if best.reach < 1:
        raise SchemeError(
            f"mixed_int8 cannot keep {_budget(scheme)} on the calibration set: with {len(best.exempt)} of"
            f" {len(dearest)} layers in float, what else is rounded leaves {best.sqnr_db:.1f} dB and an agreement of"
            f" {best.agreement:.3f}; expected a budget below; lower it, or use float16"
        )
    return best.written


def _hold_out(observed: Observed, scheme: MixedInt8) -> tuple[Observed, Tensor]:
    """What is to be repaired, and the images to judge it by: none of those that its repairs learn from.

    On the images that it has learnt from, a rounding may look 14 dB better than on others.
    """
    if scheme.rounding is None and scheme.bias_correction != "calibrated":
        return observed, observed.data
    judges = torch.arange(len(observed.data)) % _HELD_OUT == _HELD_OUT - 1
    if not judges.any():
        return observed, observed.data
    return dataclasses.replace(observed, data=observed.data[~judges]), observed.data[judges]


def find_layers(plan: Plan, names: Iterable[str]) -> list[fx.Node]:
    """The layers with these module paths, or names in the graph; a module that is called twice is two layers.

    Raises:
        ModelError: a name is that of no layer which int8 would store.
    """
    found: list[fx.Node] = []
    known = [(layer.node, module_path(layer.node).split(" ")[0]) for layer in plan.layers]
    for name in names:
        nodes = [node for node, path in known if name in (node.name, path)]
        if not nodes:
            paths = list(dict.fromkeys(path for _, path in known))
            near = difflib.get_close_matches(name, paths, n=3, cutoff=0.3)
            raise ModelError(
                f"exempt: {name!r} is no convolution or linear layer that int8 would store; expected module paths of"
                f" the {len(paths)} that are, such as {', '.join(near or paths[:3]) or 'none here'}; correct it"
            )
        found += nodes
    return found


def leave_fewest(dearest: Sequence[Item], attempt: Callable[[Sequence[Item]], Found]) -> Found:
    """The shortest beginning of `dearest` that is enough, without what it can do without.

    More layers in float are not always better: errors cancel by chance too. So every beginning is tried until one is
    enough; where none is, what comes nearest is tried without each of its layers.

    Args:
        dearest: what helps most first.
        attempt: leaves these in float; no choice is tried twice.

    Returns:
        What is enough, and of which nothing can be given back; else what came nearest.
    """
    best, count = attempt(()), 0
    while best.reach < 1 and count < len(dearest):
        count += 1
        best = max(best, attempt(dearest[:count]), key=lambda each: each.reach)
    for item in reversed(best.exempt[:-1]):  # without its last, it is a beginning that was tried
        without = attempt([each for each in best.exempt if each is not item])
        if without.reach >= 1 or without.reach > best.reach:
            best = without
    return best


def _measure_layers(observed: Observed) -> list[Sensitivity]:
    trainable = TrainableGraph(observed.graph, observed.qparams)
    layers = {layer.node.name for layer in observed.plan.layers}
    return [each for each in measure_sensitivity(trainable, observed.data[:_IMAGES]) if each.node in layers]


def _reason(observed: Observed, scheme: MixedInt8, each: Sensitivity) -> str:
    node = next(layer.node for layer in observed.plan.layers if layer.node.name == each.node)
    alone = f"its rounding alone leaves {each.sqnr_db:.1f} dB"
    return f"exempt to keep {_budget(scheme)}: {alone}; {_cost(observed.graph, node)}"


def _cost(graph: fx.GraphModule, layer: fx.Node) -> str:
    weight = cast(Tensor, constant_of(graph, layer.args[1]))
    macs = count_macs(layer, weight)
    return f"costs {_EXTRA_BYTES * weight.numel():,} bytes of weights, and {macs:,} multiply-accumulates are in float"


def _budget(scheme: MixedInt8) -> str:
    parts = [f"sqnr_db {scheme.sqnr_db:g}"] if scheme.sqnr_db is not None else []
    parts += [f"agreement {scheme.agreement:g}"] if scheme.agreement is not None else []
    return " and ".join(parts)
