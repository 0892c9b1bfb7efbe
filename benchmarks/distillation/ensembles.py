"""Binary problems from scikit-learn's tabular sets, and a teacher of many kinds of models for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]
Model = Any
"""A scikit-learn classifier; its base class does not declare predict_proba."""


@dataclass(frozen=True)
class Problem:
    """A yes-or-no question about one of scikit-learn's sets.

    load: returns the set.
    question: asked of the set's targets.
    nominal: columns whose values are names.
    """

    load: Callable[[], Any]
    question: Callable[[NDArray[Any]], NDArray[np.bool_]]
    nominal: tuple[int, ...] = ()


PROBLEMS = {
    "breast_cancer (benign)": Problem(load_breast_cancer, lambda target: target == 1),
    "diabetes (above median)": Problem(load_diabetes, lambda target: target > np.median(target), nominal=(1,)),
    "digits.p1 (8)": Problem(load_digits, lambda target: target == 8),
    "digits.p2 (0 to 4)": Problem(load_digits, lambda target: target < 5),
    "digits.p3 (odd)": Problem(load_digits, lambda target: target % 2 == 1),
    "digits.p4 (prime)": Problem(load_digits, lambda target: np.isin(target, (2, 3, 5, 7))),
    "iris (versicolor)": Problem(load_iris, lambda target: target == 1),
    "wine (second)": Problem(load_wine, lambda target: target == 1),
}


@dataclass(frozen=True)
class Parts:
    """A problem's rows, standardised by the training part, and 0 or 1 for each."""

    train: tuple[Rows, Labels]
    validation: tuple[Rows, Labels]
    test: tuple[Rows, Labels]


def split_problem(problem: Problem, seed: int) -> Parts:
    """Half of the rows to train, 20 % to select, 30 % to hold out, each with the same share of ones."""
    bunch = problem.load()
    labels = problem.question(bunch.target).astype(np.int64)
    rest, test = train_test_split(np.arange(len(labels)), test_size=0.3, stratify=labels, random_state=seed)
    fit, validation = train_test_split(rest, test_size=2 / 7, stratify=labels[rest], random_state=seed)
    mean, std = bunch.data[fit].mean(axis=0), bunch.data[fit].std(axis=0)
    rows = ((bunch.data - mean) / np.where(std > 0, std, 1)).astype(np.float32)
    return Parts(*((rows[part], labels[part]) for part in (fit, validation, test)))


def make_models(seed: int, trees: int) -> list[Model]:
    """Untrained models of every kind that gives probabilities.

    Args:
        seed: of whatever they draw.
        trees: of each forest.
    """
    forest = {"n_estimators": trees, "random_state": seed}
    return [
        *(RandomForestClassifier(**forest, min_samples_leaf=leaf) for leaf in (1, 3)),
        *(ExtraTreesClassifier(**forest, min_samples_leaf=leaf) for leaf in (1, 3)),
        BaggingClassifier(**forest),
        AdaBoostClassifier(**forest),
        *(GradientBoostingClassifier(**forest, max_depth=depth, subsample=0.7) for depth in (1, 3)),
        *(CalibratedClassifierCV(SVC(C=c), ensemble=False) for c in (0.3, 3, 30)),
        CalibratedClassifierCV(SVC(kernel="poly", coef0=1), ensemble=False),
        *(KNeighborsClassifier(k, weights="distance") for k in (3, 10, 30)),
        *(LogisticRegression(C=c, max_iter=5000) for c in (0.01, 0.1, 1)),
        GaussianNB(),
        *(
            MLPClassifier((width,), alpha=alpha, max_iter=5 * trees, random_state=seed)
            for width in (32, 128)
            for alpha in (0.01, 1)
        ),
    ]


@dataclass(frozen=True)
class Ensemble:
    """Trained models and how much each counts; the weights sum to 1."""

    members: list[Model]
    weights: list[float]

    def predict_proba(self, rows: Rows) -> NDArray[np.float64]:
        """(n, 2) weighted mean of the probabilities, of (n, features)."""
        answers = np.stack([member.predict_proba(rows) for member in self.members])
        mean: NDArray[np.float64] = np.einsum("m,mnc->nc", self.weights, answers)
        return mean


def rmse(probabilities: NDArray[np.floating], labels: Labels) -> float:
    """Root mean squared error of the probability of class 1, of (n, 2) probabilities and (n,) labels."""
    return math.sqrt(np.mean((probabilities[:, 1] - labels) ** 2))


def select_ensemble(models: Sequence[Model], rows: Rows, labels: Labels, seed: int) -> Ensemble:
    """Greedy selection with replacement, bagged over halves of the models (Caruana et al. 2004, section 2).

    Args:
        models: trained ones.
        rows: (n, features) that they were not trained on.
        labels: (n,) 0 or 1.
        seed: of the halves.
    """
    answers = np.stack([model.predict_proba(rows) for model in models])
    counts = np.zeros(len(models))
    random = np.random.default_rng(seed)
    for _ in range(20):
        picked = _pick_greedily(answers, labels, random.permutation(len(models))[: math.ceil(len(models) / 2)])
        counts += np.bincount(picked, minlength=len(models)) / len(picked)
    used = np.flatnonzero(counts).tolist()
    return Ensemble([models[model] for model in used], (counts[used] / counts.sum()).tolist())


def _pick_greedily(answers: NDArray[np.float64], labels: Labels, bag: NDArray[np.int64]) -> list[int]:
    """Models of the bag, some several times, as long as each makes their mean better."""
    picked: list[int] = []
    total, best = np.zeros(answers.shape[1:]), math.inf
    while len(picked) < 25:
        errors = [rmse((total + answers[model]) / (len(picked) + 1), labels) for model in bag]
        if min(errors) >= best:
            break
        best = min(errors)
        picked.append(int(bag[int(np.argmin(errors))]))
        total += answers[picked[-1]]
    return picked
