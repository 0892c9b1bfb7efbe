"""Calibration methods against brute force: scipy's entropy, and integers simulated value by value in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from compress.quantize.ranges import Range, entropy, mse, percentile

RANDOM = np.random.default_rng(0)
VALUES = {
    "normal": RANDOM.normal(size=20_000),
    "after ReLU": RANDOM.normal(size=20_000).clip(0),
    "one-sided, offset": RANDOM.normal(size=20_000).clip(0) + 3,
    "long tail": RANDOM.standard_t(2.5, size=20_000),
    "an outlier": np.append(RANDOM.normal(size=20_000), 60.0),
}
Method = Callable[[Tensor, Range], Range]


def histogram(values: np.ndarray, bins: int = 1024) -> tuple[np.ndarray, Range]:
    low, high = float(values.min()), float(values.max())
    return np.histogram(values, bins, (low, high))[0].astype(np.float64), (low, high)


def squared_error(values: np.ndarray, low: float, high: float) -> float:
    """Of int8 with 256 steps from low to high, 0 among them."""
    scale = (high - low) / 255
    zero_point = np.rint(-128 - low / scale)
    stored = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return float(((scale * (stored - zero_point) - values) ** 2).mean())


@pytest.mark.parametrize("case", VALUES)
def test_mse_is_the_best_of_all_its_candidates(case: str) -> None:
    counts, (low, high) = histogram(VALUES[case])
    found = mse(torch.from_numpy(counts), (low, high))
    middles = low + (high - low) / len(counts) * (np.arange(len(counts)) + 0.5)
    seen = np.repeat(middles, counts.astype(int))
    lows = [min(low, 0.0) * 0.95**k for k in range(0, 64, 3)]
    highs = [max(high, 0.0) * 0.95**k for k in range(0, 64, 3)]
    best = min(squared_error(seen, a, b) for a in lows for b in highs if a < b)
    assert squared_error(seen, *found) <= best * (1 + 1e-9)


def test_mse_gives_up_a_tail_and_keeps_a_uniform_range() -> None:
    tail, limits = histogram(VALUES["long tail"])
    low, high = mse(torch.from_numpy(tail), limits)
    assert squared_error(VALUES["long tail"], low, high) < squared_error(VALUES["long tail"], *limits)
    assert mse(torch.ones(1024, dtype=torch.float64), (-1.0, 1.0)) == (-1.0, 1.0)


def divergence(counts: np.ndarray, middles: np.ndarray, low: float, high: float) -> float:
    """Of the clipped histogram from its 256 levels, level by level, with scipy's Kullback-Leibler divergence."""
    inside = (middles >= low) & (middles <= high)
    kept = counts[inside]
    clipped = kept.copy()
    clipped[0] += counts[middles < low].sum()
    clipped[-1] += counts[middles > high].sum()
    quantised = np.full(len(kept), 1e-4)
    for bins in np.split(np.arange(len(kept)), [-(-level * len(kept) // 256) for level in range(1, 256)]):
        occupied = [index for index in bins if kept[index] > 0]
        for index in occupied:
            quantised[index] = kept[bins].sum() / len(occupied)
    return float(stats.entropy(clipped, quantised))


@pytest.mark.parametrize("case", VALUES)
def test_entropy_has_the_least_divergence_of_all_thresholds(case: str) -> None:
    counts, (low, high) = histogram(VALUES[case])
    found = entropy(torch.from_numpy(counts), (low, high))
    middles = low + (high - low) / len(counts) * (np.arange(len(counts)) + 0.5)
    counts[np.abs(middles).argmin()] = 0
    candidates = [
        (max(low, -threshold), min(high, threshold))
        for threshold in max(abs(low), abs(high)) * np.arange(128, 0, -1) / 128
        if ((middles >= max(low, -threshold)) & (middles <= min(high, threshold))).sum() >= 256
    ]
    least = min(divergence(counts, middles, *each) for each in candidates)
    assert len(candidates) > 30
    assert divergence(counts, middles, *found) == pytest.approx(least, rel=1e-9)


def test_entropy_spares_an_outlier_and_ignores_the_heap_of_zeros() -> None:
    counts, limits = histogram(VALUES["an outlier"], 4096)
    assert entropy(torch.from_numpy(counts), limits)[1] < 10
    counts, limits = histogram(VALUES["after ReLU"], 4096)
    assert entropy(torch.from_numpy(counts), limits)[1] > 3


@pytest.mark.parametrize("method", [percentile, mse, entropy])
@pytest.mark.parametrize("values", [[5.0], [-5.0], [0.0], [0.0, 1.0], [0.0, 1.0, 2.0, 3.0, 100.0], [-3.0, 7.0]])
def test_few_values_keep_their_range(method: Method, values: list[float]) -> None:
    counts = torch.histc(torch.tensor(values), 4096, min(values), max(values)).double()
    low, high = method(counts, (min(values), max(values)))
    assert low <= high
    assert (min(low, 0.0), max(high, 0.0)) == (min(*values, 0.0), max(*values, 0.0))
