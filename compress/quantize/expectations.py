"""What batch norm knows about an activation's mean, so that a bias can be corrected without data.

Before it is folded, batch norm says that its output has mean beta and standard deviation |gamma|; taken as normal, the
mean after a clip has a closed form (Nagel et al. 2019, section 4.2.1 and appendix C).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, fx

from compress.quantize.capture import arguments

aten = torch.ops.aten
_FLATTENS = (aten.flatten.using_ints, aten.reshape.default)
STATISTICS = "batch_norm_output"
"""Key of a node's `meta`: (mean, standard deviation), each (channels,) float64, of a folded batch norm's output."""


def expect_mean(value: fx.Node) -> Tensor | None:
    """Mean of each channel over images and positions, (channels,) float64; None where batch norm does not tell.

    Args:
        value: node of a float graph that `fold_batch_norm` has been through.
    """
    if STATISTICS in value.meta:
        return cast(Tensor, value.meta[STATISTICS][0])
    if value.op != "call_function":
        return None
    if value.target in (aten.relu.default, aten.hardtanh.default):
        return _clipped(value)
    if value.target is aten.add.Tensor and all(isinstance(operand, fx.Node) for operand in value.args):
        means = [expect_mean(cast(fx.Node, operand)) for operand in value.args]
        known = [mean for mean in means if mean is not None]
        return sum(known[1:], known[0]) if len(known) == 2 else None
    if value.target is aten.mean.dim or (value.target in _FLATTENS and _has_one_position(value)):
        return expect_mean(cast(fx.Node, value.args[0]))
    return None


def clipped_mean(mean: Tensor, deviation: Tensor, low: float, high: float) -> Tensor:
    """Mean of a normal variable clipped to [low, high]; `high` may be infinite.

    Args:
        mean: any shape, float64.
        deviation: same shape, >= 0.
        low: finite.
        high: above `low`.
    """
    spread = deviation.clamp(min=1e-12)
    start, end = (low - mean) / spread, (high - mean) / spread
    below, above = torch.special.ndtr(start), torch.special.ndtr(-end)
    inside = mean * (1 - below - above) + spread * (_density(start) - _density(end))
    return low * below + inside + (high * above if high < float("inf") else 0.0)


def _density(value: Tensor) -> Tensor:
    return torch.exp(-value.square() / 2) / (2 * torch.pi) ** 0.5


def _clipped(clip: fx.Node) -> Tensor | None:
    statistics: Any = cast(fx.Node, clip.args[0]).meta.get(STATISTICS)
    if statistics is None:
        return None
    low, high = arguments(clip, 0, -1.0, 1.0)[1:] if clip.target is aten.hardtanh.default else (0.0, float("inf"))
    mean, deviation = statistics
    return clipped_mean(mean, deviation, low, high)


def _has_one_position(value: fx.Node) -> bool:
    """Whether the node takes (n, channels, 1, 1) to (n, channels)."""
    before, after = cast(fx.Node, value.args[0]).meta["val"].shape, value.meta["val"].shape
    return len(after) == 2 and before[1] == after[1] and all(size == 1 for size in before[2:])
