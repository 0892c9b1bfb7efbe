"""One verb: a float model in, the graph that both mobile formats are written from out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from compress.errors import ModelError
from compress.quantize.calibration_set import check_calibration
from compress.quantize.capture import capture
from compress.quantize.convolutions import lower_convolutions
from compress.quantize.fold import fold_batch_norm
from compress.quantize.integers import observe, write
from compress.quantize.learner import Advance, Learner
from compress.quantize.mixed import find_layers, write_mixed
from compress.quantize.normalise import normalise
from compress.quantize.placement import place
from compress.quantize.schemes import Float16, Float32, MixedInt8, QATInt8, Scheme, StaticInt8
from compress.quantize.trainable import TrainableGraph
from compress.quantize.weights import store_weights
from compress.types import Json, Precision


@dataclass(frozen=True, kw_only=True)
class QuantizedGraph:
    """What `quantize` returns.

    module: runs in torch, (n, ...) in, float32 logits out, any n. For schemes with integers it holds
        `torch.ops.quantized_decomposed` nodes and simulates the integer runtimes.
    qparams: name of a value or constant -> {"scale", "zero_point"}; JSON-able; empty for float schemes.
    left_in_float: (where, reason) of every operator that `scheme` asked to run on integers and that does not.
    exempt: names of those among them that MixedInt8 exempts, as it takes them.
    """

    module: fx.GraphModule
    scheme: Scheme
    qparams: Mapping[str, Json] = field(default_factory=dict)
    left_in_float: tuple[tuple[str, str], ...] = ()
    exempt: tuple[str, ...] = ()

    @property
    def precision(self) -> Precision:
        """The scheme's name in artifacts and reports."""
        return self.scheme.precision


def quantize(
    model: nn.Module,
    example: Tensor,
    scheme: Scheme,
    calibration: Tensor | None = None,
    *,
    checkpoint: Path | None = None,
    advance: Advance | None = None,
) -> QuantizedGraph:
    """Export the model's graph, fold batch norm, and quantise it by `scheme`.

    Args:
        model: one tensor in, one tensor out; left untouched. Any device; the graph is on the CPU.
        example: one input: (1, C, H, W) float32, or (1, tokens) int64 for models that read token ids.
        scheme: what to make of it.
        calibration: (n, C, H, W) float32, n >= 1, inputs as in production; needed by StaticInt8 and MixedInt8.
        checkpoint: folder in which learnt rounding keeps each layer that is done; called again after a kill, it goes on
            to the same integers.
        advance: is told how many layers have learnt, of how many, and which is next.

    Raises:
        ModelError: torch.export refuses the model, its weights or activations are not finite, `scheme` trains, or it
            exempts layers that do not exist.
        SchemeError: `scheme` does not suit the model, or cannot keep its budget.
        DataError: the calibration set says nothing, see `check_calibration`.
    """
    if isinstance(scheme, QATInt8):
        raise ModelError("QATInt8 trains, which quantize does not; expected another scheme; use prepare and finish")
    if isinstance(scheme, StaticInt8):
        data = check_calibration(calibration, example)
        observed = observe(_fold(model, example), scheme, data)
        learner = Learner(scheme.rounding, checkpoint, advance) if scheme.rounding else None
        if isinstance(scheme, MixedInt8):
            integers = write_mixed(observed, scheme, learner)
        else:
            integers = write(observed, scheme, learner)
        return QuantizedGraph(
            module=integers.graph,
            scheme=scheme,
            qparams=integers.table,
            left_in_float=integers.left_in_float,
            exempt=integers.exempt,
        )
    graph = _fold(model, example)
    if isinstance(scheme, Float16):
        _round_to_half(graph)
    elif not isinstance(scheme, Float32):
        table, left = store_weights(graph, scheme)
        return QuantizedGraph(module=graph, scheme=scheme, qparams=table, left_in_float=left)
    return QuantizedGraph(module=graph, scheme=scheme)


def check_exemptions(model: nn.Module, example: Tensor, names: Sequence[str]) -> None:
    """Whether every name is that of a layer which MixedInt8 can leave in float; the weights do not matter.

    Raises:
        ModelError: one is not, or torch.export refuses the model.
    """
    find_layers(place(_fold(model, example)), names)


def prepare(model: nn.Module, example: Tensor, scheme: StaticInt8 | QATInt8, calibration: Tensor) -> TrainableGraph:
    """What StaticInt8 would make of the model, before its weights are rounded for good: train it, then `finish` it.

    Args:
        model: as for `quantize`.
        example: likewise.
        scheme: likewise.
        calibration: likewise.

    Raises:
        ModelError, DataError: as `quantize`; also where `scheme` repairs integers.
    """
    if isinstance(scheme, StaticInt8) and (scheme.rounding or scheme.bias_correction):
        raise ModelError(
            "rounding and bias_correction change integers, and a graph that trains has none yet; expected a scheme "
            "without them; leave both out, or use quantize"
        )
    data = check_calibration(calibration, example)
    observed = observe(_fold(model, example), scheme, data)
    return TrainableGraph(observed.graph, observed.qparams)


def finish(trained: TrainableGraph, scheme: StaticInt8 | QATInt8) -> QuantizedGraph:
    """The graph that export understands, with the weights as training left them; `trained` may train on.

    Raises:
        ModelError: training left a weight that is not finite.
    """
    graph, table, left = trained.stored()
    return QuantizedGraph(module=graph, scheme=scheme, qparams=table, left_in_float=left)


def _fold(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """The model's inference graph as the rest of this room wants it."""
    return lower_convolutions(fold_batch_norm(normalise(capture(model, example))))


def _round_to_half(graph: fx.GraphModule) -> None:
    for name, value in graph.named_buffers():
        if value.dtype == torch.float32:
            half = value.half()
            if bool(torch.isinf(half).any()):
                raise ModelError(
                    f"weight {name} reaches {float(value.abs().max()):.3g}; float16 holds at most 65504; "
                    "use float32 or static_int8"
                )
            value.copy_(half.float())
