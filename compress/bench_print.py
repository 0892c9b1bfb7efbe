"""What `compress bench` prints."""

from __future__ import annotations

import dataclasses
import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compress.bench import Bench
from compress.types import Json, Measurement


def print_bench(bench: Bench, console: Console, *, as_json: bool) -> None:
    """A table for a person, or JSON for a program."""
    if as_json:
        print(json.dumps(dataclasses.asdict(bench), indent=1, sort_keys=True, allow_nan=False))
        return
    artifact = bench.artifact
    console.print(
        f"[bold]{escape(artifact.name)}[/]  {artifact.size_bytes:,} bytes, {_describe_graph(bench.audit)}",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    for column in ("target", "runtime", "what", "value"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for measurement in bench.measurements:
        for what, value in _lines(measurement):
            table.add_row(measurement.target, measurement.runtime, what, value)
    console.print(table, highlight=False)
    if artifact.format == "ort" and any(each.metric == "latency_ms" for each in bench.measurements):
        console.print(
            "An .ort file is optimised for one kind of processor when it is written. On x86 one that was written for"
            " ARM64, as compress writes them, takes 3 to 4 times as long as its .onnx file."
        )


def _describe_graph(audit: Json) -> str:
    if audit["format"] == "ort":
        return f"{sum(audit['ops'].values()):,} of ONNX Runtime's own operators"
    return f"{audit['parameters']:,} parameters, {_describe_macs(audit)}, {audit['int8_op_share']:.0%} int8 operators"


def _describe_macs(audit: Json) -> str:
    unknown = audit["unknown_ops"]
    if not unknown:
        return f"{audit['macs']:,} MACs"
    kinds = ", ".join(f"{count} {kind}" for kind, count in unknown.items())
    return f"at least {audit['macs']:,} MACs (unknown: those of {kinds})"


def _lines(measurement: Measurement) -> list[tuple[str, str]]:
    details = measurement.details
    if measurement.metric == "latency_ms":
        threads = f"{details['threads']} thread" + ("s" if details["threads"] > 1 else "")
        if details.get("statistic") == "mean":
            return [(f"mean, {threads}, n={measurement.n}", f"{measurement.value:.3f} ms")]
        return [(f"{p}, {threads}, n={measurement.n}", f"{details[p]:.3f} ms") for p in ("p50", "p90", "p99")]
    what = {"instructions": "instructions", "executed_macs": "executed MACs"}[measurement.metric]
    return [(f"{what} of one inference", f"{measurement.value:,.0f}")]
