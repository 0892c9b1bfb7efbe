"""Scales and zero points: pure functions from ranges and weights to numbers.

real = scale * (stored - zero_point). Every scale is a float32 value, because that is what both file formats store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ACTIVATION_MIN, ACTIVATION_MAX = -128, 127
WEIGHT_MAX = 127
INT4_MIN, INT4_MAX = -8, 7
SMALLEST_SCALE = 2.0**-23  # float32's epsilon; torch's own observers stop there too
_BIAS_MAX = 2.0**30  # one bit of headroom below int32, for the sum that the bias is added to
_SMALLEST_RATIO = 2.0**-24  # XNNPACK refuses to requantise by less than 2^-32
LARGEST_RATIO = 2.0**7  # ... or by 2^8 and more
_INT4_STEPS = (6.5, 7.0, 7.25, 7.5, 7.75, 8.0, 8.5, 9.0, 10.0)  # max|w| / scale: what is tried; above 8 it clips
_SMALLEST_HALF, _LARGEST_HALF = 2.0**-24, 65280.0  # the latter is the largest that bfloat16 holds too


@dataclass(frozen=True, kw_only=True)
class QParams:
    """How one activation tensor is stored as int8."""

    scale: float
    zero_point: int


def activation_qparams(low: float, high: float, smallest_scale: float = SMALLEST_SCALE) -> QParams:
    """Affine parameters whose 256 steps cover [low, high] and represent 0 exactly (Jacob et al. 2018, section 2.1).

    A constant 0 gets the steps of [0, 1]: any scale stores it exactly, this one keeps the next layer's bias fine.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        low, high = 0.0, 1.0
    scale = float32(max((high - low) / (ACTIVATION_MAX - ACTIVATION_MIN), smallest_scale))
    zero_point = round(ACTIVATION_MIN - low / scale)
    return QParams(scale=scale, zero_point=max(ACTIVATION_MIN, min(ACTIVATION_MAX, zero_point)))


def smallest_output_scale(weight: Tensor, input_scale: float) -> float:
    """The finest output step that the runtimes can requantise a layer's accumulator to."""
    return input_scale * float(weight.abs().max()) / WEIGHT_MAX / LARGEST_RATIO


def sums_tie(left_scale: float, right_scale: float, output_scale: float) -> bool:
    """Whether sums of whole steps of the operands often fall exactly between two steps of the output.

    Two ReLU6 outputs whose sum reaches 12 do so every other time. Torch and ONNX Runtime then round half to even and
    LiteRT half away from zero, so that the runtimes drift apart in one direction.
    """
    halves = (2 * left_scale / output_scale, 2 * right_scale / output_scale)
    return all(abs(half - round(half)) < 1e-3 for half in halves) and any(round(half) % 2 for half in halves)


def weight_scales(weight: Tensor, bias: Tensor | None, source: QParams, output: QParams) -> Tensor:
    """Symmetric per_channel scales along dimension 0, float32, never zero.

    A channel's scale is max|w| / 127, but at least so large that its bias fits into int32 and that the runtimes can
    requantise it. The floors matter for dead channels only, whose weights are zero or far below the output's step.
    """
    scales = weight.double().abs().flatten(1).amax(1) / WEIGHT_MAX
    scales = scales.clamp(min=output.scale / source.scale * _SMALLEST_RATIO)
    if bias is not None:
        scales = torch.maximum(scales, bias.double().abs() / (source.scale * _BIAS_MAX))
    return scales.float()


def quantize_weight(weight: Tensor, scales: Tensor) -> Tensor:
    """int8 in [-127, 127], the nearest step per channel."""
    per_channel = scales.double().reshape(-1, *[1] * (weight.dim() - 1))
    return (weight.double() / per_channel).round().clamp(-WEIGHT_MAX, WEIGHT_MAX).to(torch.int8)


def row_scales(weight: Tensor) -> Tensor:
    """max|w| / 127 per row of a (rows, columns) weight, float32, never zero."""
    return (weight.double().abs().amax(1) / WEIGHT_MAX).clamp(min=SMALLEST_SCALE).float()


def block_scales(weight: Tensor, block_size: int) -> Tensor:
    """The scale of each block that leaves the least squared error in 4 bits.

    max|w| / 7 wastes the step at -8 and lets one large value coarsen its block; so the scales around it are tried
    (a search over clipping ranges, as Banner et al. 2019 derive them, here by trial on the block itself).

    Args:
        weight: (rows, columns), columns a multiple of block_size.
        block_size: values that share a scale.

    Returns:
        (rows, columns / block_size) float32, each a value of bfloat16 and of float16 too: TFLite stores float16, and
        XNNPACK computes with bfloat16.
    """
    blocks = weight.double().unflatten(1, (-1, block_size))
    peak = blocks.abs().amax(2)
    best = torch.full_like(peak, math.inf)
    chosen = torch.zeros_like(peak, dtype=torch.float32)
    for steps in _INT4_STEPS:
        scales = _half_and_bfloat(peak / steps)
        integers = quantize_blocks(weight, scales).double().unflatten(1, (-1, block_size))
        error = (integers * scales.double()[..., None] - blocks).square().sum(2)
        better = error < best
        best, chosen = torch.where(better, error, best), torch.where(better, scales, chosen)
    return chosen


def _half_and_bfloat(scales: Tensor) -> Tensor:
    """The nearest numbers above zero, nearly, that float16 and bfloat16 both hold, as float32."""
    return scales.clamp(_SMALLEST_HALF, _LARGEST_HALF).bfloat16().half().float()


def quantize_blocks(weight: Tensor, scales: Tensor) -> Tensor:
    """int8 in [-8, 7], the nearest step per block; shapes as in `block_scales`."""
    blocks = weight.double().unflatten(1, (scales.shape[1], -1)) / scales.double()[..., None]
    return blocks.round().clamp(INT4_MIN, INT4_MAX).to(torch.int8).flatten(1)


def bias_scales(source: QParams, scales: Tensor) -> Tensor:
    """The scale of the int32 accumulator per channel: input scale * weight scale, rounded once to float32."""
    return (scales.double() * source.scale).float()


def quantize_bias(bias: Tensor, scales: Tensor) -> Tensor:
    """int32, the nearest step of `bias_scales`."""
    return (bias.double() / scales.double()).round().to(torch.int32)


def float32(value: float) -> float:
    """The nearest float32, as a Python float."""
    return float(torch.tensor(value, dtype=torch.float32))
