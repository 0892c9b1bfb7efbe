"""Intervals of latencies: against SciPy, and against simulated machines whose rounds differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from compress.measure.rounds import ratio_of_medians, summarize_latency


def machine(rng: np.random.Generator, median: float, state: np.ndarray, inferences: int = 30) -> np.ndarray:
    """Latencies (rounds, inferences) that follow their neighbours (a first-order process), slowed by the state.

    In logarithms the marginal distribution is symmetric around median * the state's centre, 1.
    """
    noise = rng.normal(0, 0.1, (len(state), inferences))
    for at in range(1, inferences):
        noise[:, at] = 0.8 * noise[:, at - 1] + 0.6 * noise[:, at]
    return median * np.exp(noise) * state[:, None]


def test_percentiles_are_numpys_over_all_rounds() -> None:
    summary = summarize_latency(np.random.default_rng(0).permutation(np.arange(1.0, 102.0))[None])
    assert (summary.p50, summary.p90, summary.p99, summary.n, summary.rounds) == (51.0, 91.0, 100.0, 101, 1)


@pytest.mark.parametrize("rounds", [1, 2])
def test_few_rounds_have_no_interval(rounds: int) -> None:
    assert summarize_latency([[1.0, 2.0, 3.0]] * rounds).median_interval is None
    assert ratio_of_medians([[4.0, 4.0]] * rounds, [[2.0]] * rounds).interval is None


@pytest.mark.parametrize("rounds", [3, 5, 12])
def test_the_interval_is_scipys_for_the_logarithms_of_the_round_medians(rounds: int) -> None:
    samples = np.random.default_rng(rounds).lognormal(1, 0.3, (rounds, 9))
    summary = summarize_latency(samples)
    assert summary.median_interval
    oracle = ttest_1samp(np.log(np.median(samples, axis=1)), 0).confidence_interval(0.95)
    assert summary.median_interval == pytest.approx((math.exp(oracle.low), math.exp(oracle.high)), rel=1e-9)


def test_the_interval_holds_the_median_even_beside_outlying_rounds() -> None:
    summary = summarize_latency([[1.0] * 3] * 6 + [[0.5] * 3] * 4)
    assert summary.median_interval
    assert summary.median_interval[0] <= summary.p50 <= summary.median_interval[1]


@pytest.mark.parametrize(("rounds", "spread"), [(3, 0.05), (5, 0.05), (10, 0.3)])
def test_it_covers_the_median_where_rounds_differ_and_pooling_does_not(rounds: int, spread: float) -> None:
    rng = np.random.default_rng(20001130)
    ours = pooled = 0
    for _ in range(400):
        samples = machine(rng, 2.0, rng.lognormal(0, spread, rounds))
        interval = summarize_latency(samples).median_interval
        assert interval
        ours += interval[0] <= 2.0 <= interval[1]
        if rounds == 5:
            draws = rng.choice(samples.ravel(), (200, samples.size))
            low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
            pooled += low <= 2.0 <= high
    assert 0.925 <= ours / 400 <= 0.98
    assert pooled / 400 < 0.6


def test_a_ratio_covers_the_truth_and_pairing_makes_it_narrow() -> None:
    rng = np.random.default_rng(13)
    covered, widths, unpaired = 0, [], []
    for _ in range(400):
        state = rng.lognormal(0, 0.3, 5)  # a machine that throttles meets both alike
        above, below = machine(rng, math.e, state), machine(rng, 1.0, state)
        ratio = ratio_of_medians(above, below)
        assert ratio.interval
        covered += ratio.interval[0] <= math.e <= ratio.interval[1]
        widths.append(math.log(ratio.interval[1] / ratio.interval[0]))
        apart = ratio_of_medians(above, np.roll(below, 1, axis=0)).interval
        assert apart
        unpaired.append(math.log(apart[1] / apart[0]))
    assert 0.925 <= covered / 400 <= 0.98
    assert np.median(widths) < 0.4 * np.median(unpaired)


def test_a_ratio_of_constant_samples_is_exact() -> None:
    ratio = ratio_of_medians([[4.0] * 9] * 3, [[2.0] * 7] * 3)
    assert (ratio.value, ratio.interval, ratio.rounds) == (2.0, (2.0, 2.0), 3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: summarize_latency([[]]), "non-empty"),
        (lambda: summarize_latency([1.0, 2.0]), "shape"),
        (lambda: summarize_latency([[1.0, math.nan]]), "finite"),
        (lambda: summarize_latency([[1.0, math.inf]]), "finite"),
        (lambda: summarize_latency([[1.0, 0.0]]), "above 0"),
        (lambda: ratio_of_medians([[1.0], [2.0]], [[1.0]]), "the same rounds"),
    ],
)
def test_unusable_latencies_are_refused(call, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says):
        call()
