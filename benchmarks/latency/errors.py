"""How far off predictions are whose rows were left out, beside what multiply-accumulates alone predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from fit import NAMES, Groups, Observation, compare_pairs, fit_all, fit_rates, leave_out, spread
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import spearmanr

from compress.targets.latency.rates import Fitted, Rates
from compress.types import Json

BIG = ("cortex-a72", "cortex-a73", "cortex-a75", "cortex-a76")
GROUPS: dict[str, Groups] = {
    "family": lambda row: (row.ruler.family,),
    "chip": lambda row: (row.chip,),
    "core": lambda row: (row.ruler.family, row.core),
}
"""What is left out: every row that shares one of them."""
FEWEST_RANKED = 4
"""Networks in one place whose order means something."""
Array = NDArray[np.float64]


def validate(observations: Sequence[Observation]) -> Json:
    """Errors of what was left out, what they come to, and the rates of all rows."""
    published = np.array([each.ms for each in observations])
    errors: dict[str, Array] = {}
    fits: list[Rates] = []
    for name, group in GROUPS.items():
        predicted, found = leave_out(observations, group)
        errors[name] = np.log(predicted / published)
        fits += found
    errors["macs"] = np.log(predict_by_macs(observations) / published)
    pairs = find_pairs(observations)
    errors["ratio"] = compare_pairs(observations, pairs)
    fitted = fit_all(observations, errors, pairs)
    figures = summarize(observations, errors, pairs)
    return {
        "figures": figures,
        "targets": judge(figures),
        "rates": describe_rates(fitted, fits),
        "fitted": {key: value for key, value in dataclasses.asdict(fitted).items() if key != "rates"},
        "rows": [
            {
                "place": ", ".join(map(str, each.row.place)),
                "network": str(each.row.ruler),
                "published_ms": each.ms,
                "errors": {name: _number(float(np.expm1(errors[name][index]))) for name in (*GROUPS, "macs")},
            }
            for index, each in enumerate(observations)
        ],
    }


def predict_by_macs(observations: Sequence[Observation]) -> Array:
    """a + b * MACs, neither below 0, of the same place and scheme and the other families; NaN where there is none."""
    predicted = np.full(len(observations), np.nan)
    for index, each in enumerate(observations):
        like = [
            other
            for other in observations
            if (other.row.place, other.row.ruler.scheme) == (each.row.place, each.row.ruler.scheme)
            and other.row.ruler.family != each.row.ruler.family
        ]
        if like:
            ms = np.array([other.ms for other in like])
            design = np.array([[1.0, other.macs] for other in like]) / ms[:, None]
            (a, b), _ = nnls(design, np.ones(len(like)))
            predicted[index] = a + b * each.macs
    return predicted


def find_pairs(observations: Sequence[Observation]) -> list[tuple[int, int]]:
    """Two networks, or one in two schemes, on one device with as many threads."""
    rows = [each.row for each in observations]
    return [
        (i, j)
        for i, j in combinations(range(len(rows)), 2)
        if rows[i].place == rows[j].place and rows[i].ruler != rows[j].ruler
    ]


def summarize(observations: Sequence[Observation], errors: dict[str, Array], pairs: list[tuple[int, int]]) -> Json:
    """MAPE and the worst row of several sets, and what follows from leaving a family out."""
    rows = [each.row for each in observations]
    several = np.array([row.threads > 1 for row in rows])
    sets = {
        "all": [True] * len(rows),
        "big cores, 1 thread": [row.core in BIG and row.threads == 1 for row in rows],
        "several threads": [row.threads > 1 for row in rows],
        "int8": [row.ruler.scheme == "static_int8" for row in rows],
    }
    schemes = np.array([rows[i].ruler.network == rows[j].ruler.network for i, j in pairs])
    by_macs = np.array([errors["macs"][i] - errors["macs"][j] for i, j in pairs])
    held = {name: find_held(observations, group) for name, group in GROUPS.items()}
    return {
        "left_out": {
            name: {of: _describe_errors(errors[name][np.array(chosen)]) for of, chosen in sets.items()}
            for name in (*GROUPS, "macs")
        },
        "ratios": {"family": mape(errors["ratio"]), "macs": mape(by_macs)},
        "int8_ratios": mape(errors["ratio"][schemes]),
        "spearman": rank(observations, errors["family"]),
        "coverage": {
            name: {"all": share(each), "1 thread": share(each[~several]), "several threads": share(each[several])}
            for name, each in held.items()
        },
    }


def rank(observations: Sequence[Observation], log_errors: Array) -> dict[str, float]:
    """Spearman's coefficient of the networks in one place, float and int8."""
    found = {}
    for place in dict.fromkeys(each.row.place for each in observations):
        here = [index for index, each in enumerate(observations) if each.row.place == place]
        if len(here) >= FEWEST_RANKED:
            published = np.array([observations[index].ms for index in here])
            predicted = published * np.exp(log_errors[here])
            found[", ".join(map(str, place))] = float(spearmanr(published, predicted).statistic)
    return found


def find_held(observations: Sequence[Observation], groups: Groups) -> NDArray[np.bool_]:
    """Whether each row lies within the interval that those of other groups give it.

    Nested: rates and spread are both of rows that share no group with it, and the spread is that of families left out
    among those.
    """
    held = np.zeros(len(observations), bool)
    for out in dict.fromkeys(groups(each.row) for each in observations):
        rest = [each for each in observations if not set(groups(each.row)) & set(out)]
        predicted, _ = leave_out(rest, GROUPS["family"])
        errors = np.log(predicted / [each.ms for each in rest])
        several = np.array([each.row.threads > 1 for each in rest])
        rates = fit_rates(rest)
        for index, each in enumerate(observations):
            if groups(each.row) == out:
                alike = errors[several == (each.row.threads > 1)]
                held[index] = abs(np.log(each.predict(rates) / each.ms)) <= np.log(spread(alike))
    return held


def share(held: NDArray[np.bool_]) -> float:
    """Of rows that lie within their interval."""
    return float(np.mean(held))


def mape(log_errors: Array) -> float:
    """Mean absolute error, as a fraction of what was published, where something is predicted."""
    return float(np.nanmean(np.abs(np.expm1(log_errors))))


def compare_devices(observations: Sequence[Observation], rates: Rates) -> Json:
    """How much faster one phone is than another: as published of some other runtime, and as predicted of LiteRT."""
    found = []
    for one, other in combinations(observations, 2):
        if (one.row.source, one.row.ruler) == (other.row.source, other.row.ruler):
            published, predicted = other.ms / one.ms, other.predict(rates) / one.predict(rates)
            found.append(
                {
                    "network": str(one.row.ruler),
                    "phones": f"{one.row.device} to {other.row.device}",
                    "source": one.row.source,
                    "published": published,
                    "predicted": predicted,
                    "error": predicted / published - 1,
                }
            )
    return found


def judge(figures: Json) -> list[Json]:
    """What was asked of the model, and what was seen."""
    left_out = figures["left_out"]
    family = {name: each["mape"] for name, each in left_out["family"].items()}
    asked = [
        ("MAPE, families left out, all rows", family["all"], "at_most", 0.20),
        ("MAPE, families left out, big cores, 1 thread", family["big cores, 1 thread"], "at_most", 0.12),
        ("MAPE, chips left out, all rows", left_out["chip"]["all"]["mape"], "at_most", 0.20),
        ("mean error of the ratio of two networks", figures["ratios"]["family"], "at_most", 0.10),
        ("mean error of int8 to float32", figures["int8_ratios"], "at_most", 0.10),
        ("Spearman, the worst place", min(figures["spearman"].values()), "at_least", 0.95),
        ("coverage of 90 % intervals", figures["coverage"]["family"]["all"], "at_least", 0.85),
        ("coverage of 90 % intervals", figures["coverage"]["family"]["all"], "at_most", 0.95),
    ]
    return [
        {"what": what, "seen": seen, side: limit, "kept": bool(seen <= limit if side == "at_most" else seen >= limit)}
        for what, seen, side, limit in asked
    ]


def describe_rates(fitted: Fitted, fits: Sequence[Rates]) -> Json:
    """Each rate of all rows, and the least and most of any fit that left something out."""

    def write(value: float) -> float:
        return float(f"{value:.4g}")

    return {
        name: {
            "value": write(getattr(fitted.rates, name)),
            "least": write(min(getattr(rates, name) for rates in fits)),
            "most": write(max(getattr(rates, name) for rates in fits)),
        }
        for name in NAMES
    }


def _describe_errors(log_errors: Array) -> Json:
    known = np.expm1(log_errors[~np.isnan(log_errors)])
    return {"rows": len(known), "mape": mape(log_errors), "worst": float(known[np.abs(known).argmax()])}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
