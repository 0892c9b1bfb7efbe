"""Where the numbers come from: files, versions, data, machines; and what the reader must know."""

from __future__ import annotations

from collections.abc import Iterator

from compress.report.tables import NOTHING, Column, Table, cell, printable
from compress.types import Json, Results

_ELSEWHERE = ("recipe", "training", "choice", "quantization", "sensitivity")
"""The recipe is shown whole, the rest in tables; learning curves and quantisation parameters stay in results.json."""


def file_table(results: Results) -> Table:
    """Every file with its exact size and hash."""
    columns = (
        Column(key="name", title="File", numeric=False),
        Column(key="precision", title="Precision", numeric=False),
        Column(key="parent", title="Made from", numeric=False),
        Column(key="size", title="Bytes"),
        Column(key="sha256", title="SHA-256", numeric=False),
    )
    names = {a.sha256: a.name for a in reversed(results.artifacts)}  # of equal files the first
    rows = tuple(
        (
            cell(a.name),
            cell(a.precision),
            cell(names[a.parent]) if a.parent in names else NOTHING,
            cell(f"{a.size_bytes:,}"),
            cell(a.sha256),
        )
        for a in results.artifacts
    )
    return Table(columns=columns, rows=rows, missing="This run made no file.")


def fact_table(results: Results) -> Table:
    """Versions, seed, data and machines, one fact a row."""
    columns = (Column(key="fact", title="Fact", numeric=False), Column(key="value", title="Value", numeric=False))
    facts = dict(_flatten("", {k: v for k, v in results.provenance.items() if k not in _ELSEWHERE}))
    for m in results.measurements:
        if m.metric == "latency_ms" and "machine" in m.details:
            where = "latency machine" if m.target == "host" else f"latency machine {m.target}"
            facts.update(_flatten(where, m.details["machine"]))
    recipe = results.provenance.get("recipe", {})
    if isinstance(recipe, dict) and "sha256" in recipe:
        facts["recipe sha256"] = str(recipe["sha256"])
    rows = tuple((cell(fact), cell(value)) for fact, value in facts.items())
    return Table(columns=columns, rows=rows, missing="Nothing was recorded about versions, data and machines.")


def recipe_text(results: Results) -> str:
    """The recipe as it was run; empty if there was none."""
    recipe = results.provenance.get("recipe", {})
    text = recipe.get("text", "") if isinstance(recipe, dict) else ""
    return "\n".join(printable(line) for line in str(text).splitlines())


def _flatten(prefix: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in sorted(value.items()):  # results.json sorts its keys too
            yield from _flatten(f"{prefix} {key}".strip(), inner)
    elif isinstance(value, list | tuple):
        yield prefix, ", ".join(str(item) for item in value)
    else:
        yield prefix, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
