"""The pipelines of the cores, read from pipelines.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from compress.targets.latency.pipeline import Cost, Pipeline
from compress.types import Json

PIPELINES_FILE = Path(__file__).with_name("pipelines.yaml")


def _load() -> dict[str, Pipeline]:
    content = yaml.safe_load(PIPELINES_FILE.read_text(encoding="utf-8"))
    pipelines: dict[str, Pipeline] = {}
    for name, core in content.items():  # a core stands below the one that it is like
        costs = dict(pipelines[core["like"]].costs) if "like" in core else {}
        costs |= {kind: _read_cost(cost) for kinds, cost in core["costs"].items() for kind in kinds.split()}
        pipelines[name] = Pipeline(width=core["width"], window=core["window"], costs=costs)
    return pipelines


def _read_cost(cost: Json) -> Cost:
    return Cost(**{**cost, "units": tuple(cost["units"].split())})


PIPELINES: Mapping[str, Pipeline] = _load()
