"""From the histogram of a value to the range that its 256 steps shall cover: pure functions, one per method.

Each takes counts (bins,) float64 of equal bins over [low, high] and returns (low, high) inside it. All end at the full
range where giving something up does not pay, so that few values, or one value, are kept as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from compress.quantize.parameters import ACTIVATION_MAX, ACTIVATION_MIN

KEPT = 0.9999  # `percentile`: the share of values that must stay inside the range, on either side
LEVELS = ACTIVATION_MAX - ACTIVATION_MIN + 1
SHARES = 0.95 ** torch.arange(64, dtype=torch.float64)
"""The candidates of `mse`: each end is tried at these shares of what was observed, down to 4 %."""
THRESHOLDS = torch.arange(128, 0, -1, dtype=torch.float64) / 128
"""The candidates of `entropy`: shares of the largest magnitude, as long as there is a bin per level."""
_SMOOTHING = 1e-4  # of a count, where the quantised histogram has nothing: TensorRT and ONNX Runtime do the same
Range = tuple[float, float]


def percentile(counts: Tensor, limits: Range) -> Range:
    """Cut the tails off: the outer edges of the first and last bin that KEPT of the values reach."""
    low, high = limits
    width = (high - low) / len(counts)
    spared = (1.0 - KEPT) * float(counts.sum())
    first = int((counts.cumsum(0) <= spared).sum())
    last = int((counts.flip(0).cumsum(0) <= spared).sum())
    return low + first * width, high - last * width


def mse(counts: Tensor, limits: Range) -> Range:
    """The range with the smallest squared error of the simulated int8, of all pairs of SHARES of its ends.

    Values outside are clipped, values inside rounded; the best trade differs between a normal distribution and one
    with a long tail (Banner et al. 2019, section 3). A bin counts as a value in its middle.
    """
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    if low == high:
        return limits
    values = _middles(counts, limits)
    highs = high * SHARES[: len(SHARES) if high > 0 else 1]
    best, chosen = float("inf"), limits
    for start in (low * SHARES[: len(SHARES) if low < 0 else 1]).tolist():
        scale = (highs - start)[:, None] / (LEVELS - 1)
        zero = (-start / scale).round()
        stored = (values / scale + zero).round().clamp(0, LEVELS - 1)
        errors = ((scale * (stored - zero) - values).square() * counts).sum(1)
        index = int(errors.argmin())  # the first of equals: the widest
        if float(errors[index]) < best:
            best, chosen = float(errors[index]), (start, float(highs[index]))
    return chosen


def entropy(counts: Tensor, limits: Range) -> Range:
    """The range whose 256 levels lose the least information about the histogram, of all THRESHOLDS.

    Kullback-Leibler divergence of the clipped histogram from its quantised self (Migacz 2017, "8-bit Inference with
    TensorRT"), as in ONNX Runtime, but over the observed range instead of a symmetric one: what ReLU never produces
    gets no levels. The bin of 0 does not count, as in TensorRT: every range stores 0 exactly, and the heap of zeros
    behind a ReLU would make any range look worse than the smallest.
    """
    values = _middles(counts, limits)
    counts = torch.where(values.abs() == values.abs().min(), 0.0, counts)
    best, chosen = float("inf"), limits
    for threshold in (max(abs(limits[0]), abs(limits[1])) * THRESHOLDS).tolist():
        low, high = max(limits[0], -threshold), min(limits[1], threshold)
        inside = (values >= low) & (values <= high)
        if int(inside.sum()) < LEVELS or not bool(counts[inside].any()):
            break
        divergence = _divergence(counts[inside], float(counts[values < low].sum()), float(counts[values > high].sum()))
        if divergence < best:
            best, chosen = divergence, (low, high)
    return chosen


def _divergence(inside: Tensor, below: float, above: float) -> float:
    """KL(clipped || quantised) in nats; every level's mass is spread evenly over its occupied bins."""
    clipped = inside.clone()
    clipped[0] += below
    clipped[-1] += above
    occupied = (inside > 0).double()
    level = torch.arange(len(inside)) * LEVELS // len(inside)
    masses = inside.new_zeros(LEVELS).index_add_(0, level, inside)
    bins = inside.new_zeros(LEVELS).index_add_(0, level, occupied)
    quantised = torch.where(inside > 0, (masses / bins.clamp(min=1))[level], _SMOOTHING)
    expected, found = clipped / clipped.sum(), quantised / quantised.sum()
    return float(torch.special.xlogy(expected, expected / found).sum())


def _middles(counts: Tensor, limits: Range) -> Tensor:
    width = (limits[1] - limits[0]) / len(counts)
    return limits[0] + width * (torch.arange(len(counts), dtype=torch.float64) + 0.5)
