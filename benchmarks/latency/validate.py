"""How good predicted latencies are: fitted on part of the published rows, held against the rest.

Every network is rebuilt and counted on every kind of core that it was timed on, with as many threads and before the
chip's shared cache. Then a family of networks is left out at a time, a chip, or a family and a kind of core together.
Beside it stands what multiply-accumulates alone predict: a + b * MACs, fitted for each device, number of threads and
scheme on the other families. Intervals are tested nested: neither rates nor spread have seen the rows. Targets that are
missed are printed so, and make the exit code 1.
Ratios of two phones are held against those of another runtime too: it has figures of a Cortex-A76.

`--quick` takes the counts of work.json, which `--write` wrote together with the rates that ship.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from errors import compare_devices, validate
from fit import Observation, fit_rates
from published import FILE, OTHERS, Row, read_published
from tables import show

from compress.targets.latency.rates import RATES_FILE
from compress.targets.latency.work import Work
from compress.types import Json

WORK_FILE = Path(__file__).with_name("work.json")
OUTPUT = Path(__file__).parents[1] / "results" / "latency" / "validate.json"


def main() -> int:
    """Print the tables and write the JSON; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="with the counts of work.json")
    parser.add_argument("--write", action="store_true", help="the counts into work.json, the rates where they ship")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    (rows, excluded), (others, _) = read_published(), read_published(OTHERS)
    every = read_work([*rows, *others]) if options.quick else count([*rows, *others])
    observations = every[: len(rows)]
    report = {
        "excluded": excluded,
        **validate(observations),
        "phones": compare_devices(every[len(rows) :], fit_rates(observations)),
    }
    show(report)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if options.write:
        write_work(every)
        write_rates(report)
    return int(not all(target["kept"] for target in report["targets"]))


def count(rows: Sequence[Row]) -> list[Observation]:
    """Rebuild and count; a network on so many cores of a kind once."""
    from rulers import count_work  # torch and the converters take seconds to load

    observations = []
    for row in rows:
        print(name_count(row), file=sys.stderr, flush=True)
        work, macs = count_work(row.ruler, row.placement)
        observations.append(Observation(row=row, work=work, macs=macs))
    return observations


def name_count(row: Row) -> str:
    """In work.json."""
    shared_kib = row.placement.shared_cache_kib
    return f"{row.ruler}, {row.core}, threads {row.threads}, shared cache {shared_kib} KiB"


def read_work(rows: Sequence[Row]) -> list[Observation]:
    """With counts that `write_work` kept."""
    kept = json.loads(WORK_FILE.read_text(encoding="utf-8"))
    observations = []
    for row in rows:
        each = kept[name_count(row)]
        work = Work(**{**each["work"], "lines": tuple(each["work"]["lines"])})
        observations.append(Observation(row=row, work=work, macs=each["macs"]))
    return observations


def write_work(observations: Sequence[Observation]) -> None:
    """Rounded to whole cycles."""
    kept = {}
    for each in observations:
        work = dataclasses.asdict(each.work)
        work["by_class"] = {name: round(cycles) for name, cycles in work["by_class"].items()}
        kept[name_count(each.row)] = {"work": work, "macs": each.macs}
    WORK_FILE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_rates(report: Json) -> None:
    """What the package reads."""
    fitted = report["fitted"]
    content = {
        "source": {
            "script": "benchmarks/latency/validate.py --write",
            "rows": len(report["rows"]),
            "published": f"benchmarks/latency/published.csv, sha256 {hashlib.sha256(FILE.read_bytes()).hexdigest()}",
        },
        "rates": report["rates"],
        "fitted_on": {
            "runtimes": list(fitted["runtimes"]),
            "cycles": list(fitted["cycles"]),
            "cores": {core: {key: list(value) for key, value in seen.items()} for core, seen in fitted["seen"].items()},
        },
        "spreads": {
            threads: {name: round(factor, 3) for name, factor in fitted[threads].items()}
            for threads in ("one_thread", "several_threads")
        },
    }
    head = "# Written by benchmarks/latency/validate.py; compress/targets/latency/rates.py says what each rate is.\n"
    RATES_FILE.write_text(head + yaml.safe_dump(content, sort_keys=False, width=120), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
