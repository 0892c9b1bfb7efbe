"""The validation of predicted latencies, on kept counts: its figures follow, and the rates that ship are its."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from compress.targets.latency.rates import RATES_FILE
from tests import forked

FOLDER = Path(__file__).parents[1] / "benchmarks" / "latency"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("latency")
    output, environment = folder / "validate.json", {**os.environ, "OMP_NUM_THREADS": "1"}
    done = forked.run(FOLDER / "validate.py", "--quick", "--output", output, environment=environment, folder=folder)
    found: dict[str, Any] = json.loads(output.read_text())
    missed = [target["what"] for target in found["targets"] if not target["kept"]]
    assert done.returncode == bool(missed), done.stderr
    assert done.stdout.count("MISSED") == len(missed)
    return found


def test_the_rates_that_ship_are_those_of_the_published_rows(report: dict[str, Any]) -> None:
    shipped = yaml.safe_load(RATES_FILE.read_text())
    for name, rate in shipped["rates"].items():
        assert report["rates"][name]["value"] == pytest.approx(rate["value"], rel=1e-3)
    for threads, factors in shipped["spreads"].items():
        assert report["fitted"][threads] == pytest.approx(factors, abs=1e-3)


def test_the_documentation_has_these_rates_and_figures(report: dict[str, Any]) -> None:
    text = (FOLDER.parents[1] / "docs" / "latency.md").read_text(encoding="utf-8")
    for name, rate in report["rates"].items():
        value, least, most = (f"{rate[key]:,.10g}" for key in ("value", "least", "most"))
        assert re.search(rf"^\| `{name}`.* \| {value} \| {least} to {most} \|", text, re.MULTILINE), name
    for left_out, title in (("family", "family"), ("chip", "chip"), ("core", "family and kind of core")):
        sets = report["figures"]["left_out"][left_out].values()
        cells = [f"{100 * each['mape']:.1f} % ({100 * each['worst']:+.0f} %)".replace("-", "−") for each in sets]
        assert f"| {title} | {' | '.join(cells)} |" in text


def test_every_row_counts_or_says_why_not(report: dict[str, Any]) -> None:
    rows = list(csv.DictReader((FOLDER / "published.csv").open(encoding="utf-8")))
    assert len(report["rows"]) + sum(report["excluded"].values()) == len(rows)
    for row, found in zip((row for row in rows if not row["excluded"]), report["rows"], strict=True):
        assert found["published_ms"] == float(row["latency_ms"])
        assert row["source"]
    assert all(why for why in report["excluded"])


def test_figures_follow_from_the_rows(report: dict[str, Any]) -> None:
    errors = np.array([row["errors"]["family"] for row in report["rows"]])
    everything = report["figures"]["left_out"]["family"]["all"]
    assert everything["mape"] == pytest.approx(np.abs(errors).mean())
    assert abs(everything["worst"]) == pytest.approx(np.abs(errors).max())
    factors = np.maximum(1 + errors, 1 / (1 + errors))
    several = np.array([not row["place"].endswith(" 1") for row in report["rows"]])
    for threads, chosen in (("one_thread", ~several), ("several_threads", several)):
        near = report["fitted"][threads]["near"]
        assert np.mean(factors[chosen] <= near + 1e-9) >= 0.9
        assert np.isclose(factors[chosen], near).any()


def test_ratios_of_phones_are_those_of_another_runtime(report: dict[str, Any]) -> None:
    """Of an A76 too, of which no row is fitted. Credible is 10 %; the CSV is the oracle."""
    rows = list(csv.DictReader((FOLDER / "other_runtimes.csv").open(encoding="utf-8")))
    ms = {(row["source"], row["device"], row["network"], row["dtype"]): float(row["latency_ms"]) for row in rows}
    for pair in report["phones"]:
        one, other = pair["phones"].split(" to ")
        network, dtype = pair["network"].split("-")[0], "fp32" if pair["network"].endswith("float32") else "int8"
        times = (ms[pair["source"], phone, network, dtype] for phone in (other, one))
        assert pair["published"] == pytest.approx(next(times) / next(times))
    assert np.mean([abs(pair["error"]) for pair in report["phones"]]) < 0.1


def test_it_beats_what_multiply_accumulates_alone_predict(report: dict[str, Any]) -> None:
    """By more than half: a model that did not would add nothing."""
    left_out = report["figures"]["left_out"]
    assert left_out["family"]["all"]["mape"] < left_out["macs"]["all"]["mape"] / 2
    assert report["figures"]["ratios"]["family"] < report["figures"]["ratios"]["macs"] / 2
