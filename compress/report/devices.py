"""The table of real devices: what they measured, beside what the host says of the same files."""

from __future__ import annotations

from compress.report.cells import figure_cell
from compress.report.lookup import Lookup
from compress.report.rows import describe_samples, percentile_cell, speedup_cell
from compress.report.tables import NOTHING, Cell, Column, Table, cell
from compress.types import Artifact, Measurement


def device_table(lookup: Lookup) -> Table:
    """One row a file and device: latency, how much faster than the teacher there, outputs equal to the host's."""
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="device", title="Device", numeric=False),
        Column(key="p50", title="p50"),
        Column(key="p90", title="p90"),
        Column(key="p99", title="p99"),
        Column(key="speedup", title="Speed-up"),
        Column(key="bit_exact", title="Images as on the host"),
    )
    rows, sizes = [], set()
    for artifact in lookup.results.artifacts:
        for timed in _timed(lookup, artifact):
            rows.append(_row(lookup, artifact, timed))
            sizes.add(f"{timed.target}: {describe_samples(timed)}")
    notes = (
        f"{'; '.join(sorted(sizes))}. True times of one inference, measured there. Images as on the host: the share of"
        " images whose outputs equal the host's bit for bit. A mean stands for p50 where the tool there tells no more.",
    )
    return Table(columns=columns, rows=tuple(rows), notes=notes, missing="No latency was measured on a device.")


def _timed(lookup: Lookup, artifact: Artifact) -> list[Measurement]:
    found = [m for m in lookup.results.measurements if m.artifact == artifact.sha256 and m.metric == "latency_ms"]
    return sorted((m for m in found if m.target != "host"), key=lambda m: m.target)


def _row(lookup: Lookup, artifact: Artifact, timed: Measurement) -> tuple[Cell, ...]:
    middle = figure_cell(timed)
    if timed.details.get("statistic") == "mean":
        middle = cell(f"{middle.text} (mean)", middle.small)
    return (
        cell(artifact.name, timed.runtime),
        cell(timed.target),
        middle,
        percentile_cell(timed, "p90"),
        percentile_cell(timed, "p99"),
        speedup_cell(timed),
        _equal_images(lookup, artifact, timed.target),
    )


def _equal_images(lookup: Lookup, artifact: Artifact, device: str) -> Cell:
    for m in lookup.results.measurements:
        if (m.artifact, m.metric, m.target) == (artifact.sha256, "bit_exact", device):
            return cell(f"{100 * m.value:.1f} %", f"n = {m.n:,}")
    return NOTHING
