"""How good predicted latencies are: fitted on part of the published rows, held against the rest.

Every network is rebuilt and counted on every kind of core that it was timed on. Then one family of networks at a time
is left out, one device, one kind of core; beside it stands what multiply-accumulates alone predict (a + b * MACs, fitted
for each device, number of threads and scheme on the other families). Targets that are missed are printed as missed.

`--quick` takes the counts of work.json, which `--write` wrote together with the rates that ship.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import yaml
from fit import NAMES, Observation, fit_all, leave_out, spread
from numpy.typing import NDArray
from published import FILE, Row, read_published
from scipy.optimize import nnls
from scipy.stats import spearmanr

from compress.targets.latency.model import RATES_FILE, Fitted, Rates
from compress.targets.latency.work import Work
from compress.types import Json

WORK_FILE = Path(__file__).with_name("work.json")
OUTPUT = Path(__file__).parents[1] / "results" / "latency" / "validate.json"
BIG = ("cortex-a72", "cortex-a73", "cortex-a75", "cortex-a76")
Array = NDArray[np.float64]


def main() -> int:
    """Print the tables and write the JSON; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="with the counts of work.json")
    parser.add_argument("--write", action="store_true", help=f"the counts into work.json, the rates into {RATES_FILE}")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    rows, excluded = read_published()
    observations = read_work(rows) if options.quick else count(rows)
    found = validate(observations)
    report = {"excluded": excluded, **found}
    show(observations, report)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    if options.write:
        write_work(observations)
        write_rates(observations, report)
    return int(not all(target["kept"] for target in report["targets"]))


def count(rows: Sequence[Row]) -> list[Observation]:
    """Rebuild and count; a network on a core once."""
    from rulers import count_work  # torch and the converters take seconds to load

    observations = []
    for row in rows:
        print(f"{row.ruler} on {row.core}", file=sys.stderr, flush=True)
        work, macs = count_work(row.ruler, row.core)
        observations.append(Observation(row=row, work=work, macs=macs))
    return observations


def read_work(rows: Sequence[Row]) -> list[Observation]:
    """With counts that `write_work` kept."""
    kept = json.loads(WORK_FILE.read_text(encoding="utf-8"))
    return [
        Observation(row=row, work=Work(**{**each["work"], "lines": tuple(each["work"]["lines"])}), macs=each["macs"])
        for row in rows
        for each in [kept[f"{row.ruler} {row.core}"]]
    ]


def write_work(observations: Sequence[Observation]) -> None:
    """Rounded to whole cycles."""
    kept = {}
    for each in observations:
        work = dataclasses.asdict(each.work)
        work["by_class"] = {name: round(cycles) for name, cycles in work["by_class"].items()}
        kept[f"{each.row.ruler} {each.row.core}"] = {"work": work, "macs": each.macs}
    WORK_FILE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def validate(observations: Sequence[Observation]) -> Json:
    """Errors of what was left out, and what they come to."""
    published = np.array([each.ms for each in observations])
    groups = {
        "family": lambda row: row.ruler.family,
        "device": lambda row: row.place[:2],
        "core": lambda row: row.core,
    }
    errors: dict[str, Array] = {}
    fits: list[Rates] = []
    for name, group in groups.items():
        predicted, found = leave_out(observations, group)
        errors[name] = np.log(predicted / published)
        fits += found
    errors["macs"] = np.log(predict_by_macs(observations) / published)
    pairs = [(i, j) for i, j in combinations(range(len(observations)), 2) if same_place(observations, i, j)]
    ratio = {name: np.array([errors[name][i] - errors[name][j] for i, j in pairs]) for name in ("family", "macs")}
    fitted = fit_all(observations, {**errors, "ratio": ratio["family"]})
    figures = {
        **summarize(observations, errors),
        "ratio_mape": mape(ratio["family"]),
        "ratio_mape_by_macs": mape(ratio["macs"]),
        "int8_ratio_mape": mape(np.array([errors["family"][i] - errors["family"][j] for i, j in pairs if int8(observations, i, j)])),
        "spearman": spearman(observations, published * np.exp(errors["family"])),
        "coverage": {name: coverage(errors[name], [groups[name](o.row) for o in observations]) for name in groups},
    }
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
                **{f"error_{name}": float(np.expm1(errors[name][index])) for name in errors},
            }
            for index, each in enumerate(observations)
        ],
    }


def predict_by_macs(observations: Sequence[Observation]) -> Array:
    """a + b * MACs, neither below 0, of the same place and scheme and the other families."""
    predicted = np.zeros(len(observations))
    for index, each in enumerate(observations):
        like = [
            other
            for other in observations
            if (other.row.place, other.row.ruler.scheme) == (each.row.place, each.row.ruler.scheme)
            and other.row.ruler.family != each.row.ruler.family
        ]
        if not like:
            predicted[index] = np.nan
            continue
        ms = np.array([other.ms for other in like])
        design = np.array([[1.0, other.macs] for other in like]) / ms[:, None]
        (a, b), _ = nnls(design, np.ones(len(like)))
        predicted[index] = a + b * each.macs
    return predicted


def summarize(observations: Sequence[Observation], errors: dict[str, Array]) -> Json:
    """MAPE and the worst row, of all and of single threads on big cores."""
    big = np.array([o.row.threads == 1 and o.row.core in BIG for o in observations])
    several = np.array([o.row.threads > 1 for o in observations])
    int8_rows = np.array([o.row.ruler.scheme == "static_int8" for o in observations])
    sets = {"all": np.ones(len(observations), bool), "big, 1 thread": big, "several threads": several, "int8": int8_rows}
    return {
        f"{left_out} left out": {
            name: {"rows": int(chosen.sum()), "mape": mape(found[chosen]), "worst": worst(found[chosen])}
            for name, chosen in sets.items()
        }
        for left_out, found in errors.items()
    }


def same_place(observations: Sequence[Observation], i: int, j: int) -> bool:
    """Two networks, or one in two schemes, on one device with as many threads."""
    one, other = observations[i].row, observations[j].row
    return one.place == other.place and one.ruler != other.ruler


def int8(observations: Sequence[Observation], i: int, j: int) -> bool:
    """One network in two schemes."""
    one, other = observations[i].row.ruler, observations[j].row.ruler
    return one.network == other.network and one.scheme != other.scheme


def spearman(observations: Sequence[Observation], predicted: Array) -> Json:
    """Of the networks in one place, float and int8, where there are four."""
    found = {}
    for place in dict.fromkeys(each.row.place for each in observations):
        here = [index for index, each in enumerate(observations) if each.row.place == place]
        if len(here) >= 4:
            published = [observations[index].ms for index in here]
            found[", ".join(map(str, place))] = float(spearmanr(published, predicted[here]).statistic)
    return found


def coverage(log_errors: Array, groups: Sequence[object]) -> float:
    """Share of rows within the spread of the other groups."""
    held = []
    for error, group in zip(log_errors, groups, strict=True):
        others = [other for other, theirs in zip(log_errors, groups, strict=True) if theirs != group]
        held.append(abs(error) <= np.log(spread(others)))
    return float(np.mean(held))


def mape(log_errors: Array) -> float:
    """Mean absolute error, as a fraction of what was published; of those that are known."""
    return float(np.nanmean(np.abs(np.expm1(log_errors))))


def worst(log_errors: Array) -> float:
    """The error furthest from 0."""
    errors = np.expm1(log_errors)
    return float(errors[np.nanargmax(np.abs(errors))])


def judge(figures: Json) -> list[Json]:
    """What was asked, and what was seen."""
    asked = [
        ("MAPE, family left out, all rows", figures["family left out"]["all"]["mape"], "at_most", 0.20),
        ("MAPE, family left out, big cores, 1 thread", figures["family left out"]["big, 1 thread"]["mape"], "at_most", 0.12),
        ("MAPE, device left out, all rows", figures["device left out"]["all"]["mape"], "at_most", 0.20),
        ("mean error of a ratio of two networks", figures["ratio_mape"], "at_most", 0.10),
        ("mean error of int8 / float32", figures["int8_ratio_mape"], "at_most", 0.10),
        ("Spearman, the worst place", min(figures["spearman"].values()), "at_least", 0.95),
        ("coverage of 90 % intervals, at least", figures["coverage"]["family"], "at_least", 0.85),
        ("coverage of 90 % intervals, at most", figures["coverage"]["family"], "at_most", 0.95),
    ]
    return [
        {"what": what, "seen": seen, side: limit, "kept": bool(seen <= limit if side == "at_most" else seen >= limit)}
        for what, seen, side, limit in asked
    ]


def describe_rates(fitted: Fitted, fits: Sequence[Rates]) -> Json:
    """Each rate of all rows, and the least and most of any fit that left something out."""
    return {
        name: {
            "value": float(f"{getattr(fitted.rates, name):.4g}"),
            "least": float(f"{min(getattr(rates, name) for rates in fits):.4g}"),
            "most": float(f"{max(getattr(rates, name) for rates in fits):.4g}"),
        }
        for name in NAMES
    }


def show(observations: Sequence[Observation], report: Json) -> None:
    """The tables."""
    print(f"{'':34}{'':28}{'published':>10}{'error of the prediction without its':>38}{'MACs':>8}")
    print(f"{'':34}{'':28}{'ms':>10}{'family':>14}{'device':>12}{'core':>12}{'alone':>8}")
    for row in report["rows"]:
        errors = [row[f"error_{name}"] for name in ("family", "device", "core", "macs")]
        print(
            f"{row['network']:34}{row['place']:28}{row['published_ms']:10.1f}{errors[0]:14.1%}{errors[1]:12.1%}{errors[2]:12.1%}"
            f"{errors[3]:8.0%}"
        )
    print(f"\n{'rows left out':>60}: reason")
    for why, number in report["excluded"].items():
        print(f"{number:>60}: {why}")
    print("\nMAPE (worst)")
    for left_out, sets in report["figures"].items():
        if left_out.endswith("left out"):
            cells = (f"{name} ({each['rows']}) {each['mape']:.1%} ({each['worst']:+.0%})" for name, each in sets.items())
            print(f"  {left_out:18} {', '.join(cells)}")
    print("\nrate: value (least to most of fits that left something out)")
    for name, rate in report["rates"].items():
        print(f"  {name:22}{rate['value']:>10,.5g} ({rate['least']:,.5g} to {rate['most']:,.5g})")
    print(f"\nspreads: {report['fitted']['spread']:.3f}, of a core left out {report['fitted']['far_spread']:.3f}, of a ratio {report['fitted']['ratio_spread']:.3f}")
    for name, value in report["figures"]["coverage"].items():
        print(f"coverage, {name} left out: {value:.1%}")
    print(f"\nof {len(observations)} rows:")
    for target in report["targets"]:
        limit = f"<= {target['at_most']:g}" if "at_most" in target else f">= {target['at_least']:g}"
        print(f"  {'kept  ' if target['kept'] else 'MISSED'} {target['what']}: {target['seen']:.3f}, asked {limit}")


def write_rates(observations: Sequence[Observation], report: Json) -> None:
    """What the package reads."""
    fitted = report["fitted"]
    content = {
        "source": {
            "script": "benchmarks/latency/validate.py --write",
            "rows": len(observations),
            "published": f"benchmarks/latency/published.csv, sha256 {hashlib.sha256(FILE.read_bytes()).hexdigest()}",
        },
        "rates": report["rates"],
        "fitted_on": {key: list(fitted[key]) for key in ("cores", "classes", "runtimes", "threads", "cycles")},
        "spreads": {key: round(fitted[key], 3) for key in ("spread", "far_spread", "ratio_spread")},
    }
    head = "# Written by benchmarks/latency/validate.py; compress/targets/latency/model.py says what each rate is.\n"
    RATES_FILE.write_text(head + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
