"""Latencies that were predicted for phones, which never stand among those that were measured: a table and figures."""

from __future__ import annotations

from collections.abc import Mapping

from compress.report.cells import figure_cell
from compress.report.lookup import Lookup
from compress.report.parts import describe_part
from compress.report.tables import NOTHING, Cell, Column, Table, cell
from compress.targets.latency.ratio import bound_ratio
from compress.types import Artifact, Measurement
from compress.units import times

METRIC = "predicted_latency_ms"


def phone_table(lookup: Lookup) -> Table:
    """One row a file and phone: milliseconds, how much faster than the teacher there, where the time goes."""
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="phone", title="Phone", numeric=False),
        Column(key="predicted", title="Predicted"),
        Column(key="speedup", title="Speed-up"),
        Column(key="parts", title="Most time goes to", numeric=False),
        Column(key="warnings", title="Extrapolated", numeric=False),
    )
    rows = tuple(
        (
            cell(artifact.name, found.runtime),
            cell(phone, _describe_place(found)),
            _interval_cell(found),
            _speedup(artifact, found, forecasts),
            cell(_describe_parts(found), _describe_layers(found)),
            cell("; ".join(found.details["warnings"])) if found.details["warnings"] else NOTHING,
        )
        for phone, forecasts in list_forecasts(lookup).items()
        for artifact, found in forecasts.items()
    )
    notes = (
        "Nothing was timed: blocks that an emulated core executed, scheduled on its pipeline, and its caches' traffic,"
        " with rates fitted on published figures. Small print: intervals, of 90 % where nothing is extrapolated; else"
        " wider, and untested: no published figure tells how many of them hold. Budgets are judged at the interval's"
        " unfavourable end, ratios by one of their own.",
    )
    return Table(columns=columns, rows=rows, notes=notes, missing="No latency was predicted.")


def list_forecasts(lookup: Lookup) -> Mapping[str, Mapping[Artifact, Measurement]]:
    """Phone -> file -> prediction, in the order of the recipe and of the files."""
    forecasts = [m for m in lookup.results.measurements if m.metric == METRIC]
    return {
        phone: {
            artifact: m
            for artifact in lookup.results.artifacts  # those of equal bytes were predicted once
            for m in forecasts
            if (m.artifact, m.target) == (artifact.sha256, phone)
        }
        for phone in dict.fromkeys(m.target for m in forecasts)
    }


def _speedup(artifact: Artifact, found: Measurement, forecasts: Mapping[Artifact, Measurement]) -> Cell:
    """Against the float32 teacher in the same format."""
    for other, baseline in forecasts.items():
        if other.role == "teacher" and other.format == artifact.format and other.sha256 != artifact.sha256:
            low, high = bound_ratio(baseline, found)
            return cell(times(baseline.value / found.value), f"{times(low)} to {times(high)}")
    return NOTHING


def _interval_cell(found: Measurement) -> Cell:
    usual = figure_cell(found)
    return usual if found.details["confidence"] else cell(usual.text, f"{usual.small}, untested")


def _describe_place(found: Measurement) -> str:
    clocks = list(dict.fromkeys(found.details["ghz"]))
    threads = found.details["threads"]
    speed = " and ".join(f"{clock:g}" for clock in clocks)
    place = f"{threads} thread{'s' if threads != 1 else ''}, {found.details['core']}, {speed} GHz"
    if calibration := found.details.get("calibration"):
        return f"{place}; calibrated {calibration['date']} on {calibration['there']}, {calibration['runtime']}"
    return place


def _describe_parts(found: Measurement) -> str:
    parts = sorted(found.details["parts_ms"].items(), key=lambda part: -part[1])[:3]
    return ", ".join(f"{describe_part(name)} {100 * ms / found.value:.0f} %" for name, ms in parts)


def _describe_layers(found: Measurement) -> str:
    """Of the cycles alone: nobody knows which layer waits for memory."""
    cycles = found.details.get("cycles_by_layer", {})
    largest = sorted(cycles.items(), key=lambda layer: -layer[1])[:3]
    shares = [f"{describe_part(name)} {100 * spent / sum(cycles.values()):.0f} %" for name, spent in largest]
    return f"layers, of the cycles: {', '.join(shares)}" if shares else ""
