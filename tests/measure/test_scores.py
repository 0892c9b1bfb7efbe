"""Scores and paired differences against SciPy, scikit-learn, published worked examples and seeded simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, chi2
from sklearn.metrics import f1_score

from compress.measure.paired import compare_paired, mcnemar_p_value, paired_interval
from compress.measure.scores import estimate_accuracy, estimate_agreement, estimate_macro_f1, estimate_proportion


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_matches_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    estimate = estimate_proportion(successes, n)
    assert estimate.interval == pytest.approx((low, high), abs=5e-5)
    assert (estimate.value, estimate.n) == (successes / n, n)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 7), (0, 400), (399, 400), (9190, 10_000), (20, 20)])
def test_wilson_interval_is_scipys(successes: int, n: int) -> None:
    interval = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    ours = estimate_proportion(successes, n).interval
    assert ours == pytest.approx((interval.low, interval.high), rel=1e-12, abs=1e-15)


def test_accuracy_and_agreement_count_equal_classes() -> None:
    labels, predictions = [3, 1, 2, 2, 0], [3, 1, 0, 2, 1]
    assert estimate_accuracy(labels, predictions) == estimate_proportion(3, 5)
    assert estimate_agreement(predictions, labels) == estimate_proportion(3, 5)


def test_tango_interval_matches_the_worked_example() -> None:
    # Airway responsiveness before and after a transplantation, n = 21 with 1 and 7 discordant pairs (Bentur et al.
    # 2009), worked in Fagerland, Lydersen, Laake 2014: difference -0.286, Tango's interval -0.517 to -0.026.
    assert paired_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(("lost", "gained", "n"), [(12, 2, 50), (0, 3, 15), (150, 86, 1600), (300, 120, 10_000)])
def test_ends_of_the_paired_interval_are_where_a_score_test_turns(lost: int, gained: int, n: int) -> None:
    """Oracle: the score statistic with the nuisance parameter found by numerical maximum likelihood."""

    def score(difference: float) -> float:
        def negative_log_likelihood(gained_share: float) -> float:
            rest = 1 - 2 * gained_share - difference
            shares = ((lost, gained_share + difference), (gained, gained_share), (n - lost - gained, rest))
            return -sum(count * math.log(share) for count, share in shares if count)

        lowest, highest = max(0.0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12
        share = minimize_scalar(
            negative_log_likelihood, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-13}
        ).x
        return (lost - gained - n * difference) / math.sqrt(n * (2 * share + difference * (1 - difference)))

    for end in paired_interval(lost, gained, n):
        assert score(end) ** 2 == pytest.approx(chi2.ppf(0.95, 1), rel=2e-4)


@pytest.mark.parametrize(
    ("n", "both", "lost_share", "gained_share"),
    [(100, 0.85, 0.06, 0.03), (100, 0.90, 0.02, 0.02), (500, 0.88, 0.05, 0.02), (2000, 0.90, 0.03, 0.015)],
)
def test_paired_interval_covers_the_truth_in_95_of_100_samples(
    n: int, both: float, lost_share: float, gained_share: float
) -> None:
    rng = np.random.default_rng(19980417)
    shares = [lost_share, gained_share, both, 1 - both - lost_share - gained_share]
    draws = rng.multinomial(n, shares, size=1500)
    truth = lost_share - gained_share
    intervals = [paired_interval(int(lost), int(gained), n) for lost, gained, *_ in draws]
    coverage = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.935 <= coverage <= 0.975


def test_paired_drop_is_positive_when_the_candidate_is_worse() -> None:
    reference = np.array([True] * 90 + [False] * 10)
    candidate = np.array([True] * 80 + [False] * 15 + [True] * 5)
    drop = compare_paired(reference, candidate)
    assert (drop.lost, drop.gained, drop.n) == (10, 5, 100)
    assert drop.value == pytest.approx(0.05)
    assert drop.interval[0] < 0.05 < drop.interval[1]
    assert drop.p_value == mcnemar_p_value(10, 5)


@pytest.mark.parametrize(
    ("lost", "gained", "n", "inside"), [(0, 0, 20, 0.0), (10, 0, 10, 1.0), (0, 5, 5, -1.0), (0, 0, 1, 0.0)]
)
def test_paired_interval_at_the_borders(lost: int, gained: int, n: int, inside: float) -> None:
    low, high = paired_interval(lost, gained, n)
    assert -1 <= low <= inside <= high <= 1
    assert high - low > 0.1


@pytest.mark.parametrize(
    ("lost", "gained", "p_value"),
    [
        (1, 7, 0.0703125),  # 2 * (C(8,0) + C(8,1)) / 2^8
        (7, 1, 0.0703125),
        (5, 5, 1.0),
        (0, 0, 1.0),
        (0, 10, 2 / 1024),
    ],
)
def test_mcnemar_p_value(lost: int, gained: int, p_value: float) -> None:
    assert mcnemar_p_value(lost, gained) == pytest.approx(p_value, rel=1e-12)


def _labels_and_predictions(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    predictions = np.where(rng.random(n) < 0.85, labels, rng.integers(0, 10, n))
    return labels, predictions


def test_macro_f1_bootstrap_equals_resampling_images_with_scikit_learn() -> None:
    labels, predictions = _labels_and_predictions(400, seed=1)
    ours = estimate_macro_f1(labels, predictions, seed=2, resamples=3000)
    rng = np.random.default_rng(3)
    picks = rng.integers(0, labels.size, (600, labels.size))
    scores = [f1_score(labels[p], predictions[p], average="macro", zero_division=0) for p in picks]
    assert ours.value == f1_score(labels, predictions, average="macro")
    assert ours.interval == pytest.approx(np.quantile(scores, [0.025, 0.975]), abs=0.006)


def test_macro_f1_knows_classes_by_any_number_and_repeats_by_seed() -> None:
    labels, predictions = np.array([7, 7, -1, 3, 3, 3]), np.array([7, 3, -1, 3, 3, 9])
    once = estimate_macro_f1(labels, predictions, seed=5, resamples=50)
    assert once.value == pytest.approx(f1_score(labels, predictions, average="macro", zero_division=0))
    assert once == estimate_macro_f1(labels, predictions, seed=5, resamples=50)
    assert once.interval != estimate_macro_f1(labels, predictions, seed=6, resamples=50).interval


def test_perfect_predictions_have_an_f1_of_one() -> None:
    labels = np.arange(30) % 3
    assert estimate_macro_f1(labels, labels, seed=0, resamples=20).interval == (1.0, 1.0)


_YES, _NO = [True, False], [True, False, True]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: estimate_proportion(0, 0), "at least one observation"),
        (lambda: estimate_proportion(3, 2), "between 0 and"),
        (lambda: estimate_proportion(-1, 2), "between 0 and"),
        (lambda: estimate_accuracy([], []), "none"),
        (lambda: estimate_accuracy([1, 2], [1]), "one length"),
        (lambda: estimate_accuracy([[1, 2]], [[1, 2]]), "one length"),
        (lambda: estimate_accuracy([1.0, math.nan], [1.0, 2.0]), "integers"),
        (lambda: compare_paired(_YES, _NO), "one length"),
        (lambda: compare_paired(np.array([], bool), np.array([], bool)), "none"),
        (lambda: compare_paired([1, 0], [1, 1]), "booleans"),
        (lambda: paired_interval(0, 0, 0), "n >= 1"),
        (lambda: paired_interval(-1, 0, 5), "lost=-1"),
        (lambda: paired_interval(3, 3, 5), "gained=3"),
        (lambda: mcnemar_p_value(-1, 2), "negative"),
        (lambda: estimate_macro_f1([], [], 0), "none"),
        (lambda: estimate_macro_f1([1], [1], 0, resamples=0), "resamples"),
    ],
)
def test_unusable_input_is_refused(call, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says):
        call()
