"""How closely files agree with what they were made from: a table for each thing that is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compress.report.cells import figure_cell, name_cell
from compress.report.lookup import Lookup, Subject
from compress.report.tables import NOTHING, Cell, Column, Table, Tone, cell
from compress.types import METRICS, Measurement
from compress.units import brief

_WORST = {"max_abs_difference": max, "sqnr_db": min, "bit_exact": min}
"""Metric of logits -> which of several cores is the worst."""

_LOGITS = (
    Column(key="max_abs_difference", title="Largest difference"),
    Column(key="sqnr_db", title="SQNR"),
    Column(key="bit_exact", title="Bit for bit"),
    Column(key="n", title="n images"),
)
_READING = (
    "The largest difference is in logits; SQNR is that of the logits to their difference, if they differ; bit"
    " for bit is the share of images whose logits are all equal."
)


def fidelity_tables(lookup: Lookup) -> dict[str, Table]:
    """Title -> table; the titles say what is compared with what."""
    tables = {
        "Files on the host against torch": _against_torch(lookup),
        "One format against the other": _between_formats(lookup),
        "Variants against the files that they are made from": _against_source(lookup),
        "Emulated cores against the host": _against_host(lookup),
        "On tflite-runtime, which older apps ship": _on_old_runtime(lookup),
    }
    return {title: table for title, table in tables.items() if table.rows or table.missing}


def _against_torch(lookup: Lookup) -> Table:
    columns = (Column(key="artifact", title="Artifact", numeric=False), *_LOGITS)
    rows = tuple((name_cell(subject), *_logits(found)) for subject, found in _compared(lookup, "torch"))
    notes = (f"Against the graph that the file was written from, with the same rounding. {_READING}",)
    return Table(columns=columns, rows=rows, notes=notes, missing="No outputs were compared with torch.")


def _against_host(lookup: Lookup) -> Table:
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="cores", title="Cores"),
        *_LOGITS,
    )
    rows, names = [], set()
    for subject, compared in _compared(lookup, "host"):
        found = [m for m in compared if m.how == "emulated"]  # a device's have a table of their own
        if not found:
            continue
        cores = {m.target for m in found}
        names |= cores
        rows.append((name_cell(subject), cell(str(len(cores))), *_logits(found)))
    notes = (
        "The same file under the same runtime, executed on ARM64 in emulation and natively on the host; the worst of"
        f" {', '.join(sorted(names))}.",
    )
    return Table(columns=columns, rows=tuple(rows), notes=notes, missing="No outputs were compared on ARM64 cores.")


def _against_source(lookup: Lookup) -> Table:
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="source", title="Made from", numeric=False),
        Column(key="agreement", title="Same class"),
        *_LOGITS,
    )
    rows = []
    for subject, found in _compared(lookup, "source"):
        same = next((m for m in found if m.metric == "agreement"), None)
        rows.append((name_cell(subject), _other(found[0]), figure_cell(same), *_logits(found)))
    return Table(columns=columns, rows=tuple(rows), notes=(f"On the host, under the same runtime. {_READING}",))


def _on_old_runtime(lookup: Lookup) -> Table:
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="target", title="Target", numeric=False),
        Column(key="state", title="Outcome", numeric=False),
        Column(key="agreement", title="Same class"),
        Column(key="max_abs_difference", title="Largest difference"),
        Column(key="n", title="n images"),
        Column(key="why", title="What it says", numeric=False),
    )
    names = {artifact.sha256: artifact.name for artifact in lookup.results.artifacts}
    found = [m for m in lookup.results.measurements if m.metric == "compatible"]
    notes = (
        "Against the same file under LiteRT on the host. Silently wrong: it loads, runs, and answers with other numbers"
        " than rounding explains.",
    )
    rows = tuple(_old_runtime_row(names[m.artifact], m) for m in found)
    return Table(columns=columns, rows=rows, notes=notes)


def _old_runtime_row(name: str, found: Measurement) -> tuple[Cell, ...]:
    state, details = str(found.details.get("state")), found.details
    figures = [
        cell(brief(details[metric], METRICS[metric])) if metric in details else NOTHING
        for metric in ("agreement", "max_abs_difference")
    ]
    said = cell(str(details.get("why", ""))) if state == "fails" else NOTHING
    tone: Tone = "pass" if found.value == 1 else "fail"
    return (cell(name, found.runtime), cell(found.target), cell(state, tone=tone), *figures, cell(f"{found.n:,}"), said)


def _other(measurement: Measurement) -> Cell:
    """What it was compared with."""
    return cell(str(measurement.details.get("compared_with", "")))


def _between_formats(lookup: Lookup) -> Table:
    """A row a pair: the agreement of two files is that of either with the other."""
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="with", title="Compared with", numeric=False),
        Column(key="agreement", title="Same class"),
        Column(key="n", title="n images"),
    )
    rows, seen = [], set()
    for subject, found in _compared(lookup, "other_format"):
        for m in found:
            pair = frozenset((m.artifact, m.reference))
            if m.metric == "agreement" and pair not in seen:
                seen.add(pair)
                rows.append((name_cell(subject), _other(m), figure_cell(m), cell(f"{m.n:,}")))
    notes = ("Same class is the share of images on which both choose the same one.",)
    return Table(columns=columns, rows=tuple(rows), notes=notes, missing="No two formats were compared.")


def _compared(lookup: Lookup, against: str) -> Iterator[tuple[Subject, list[Measurement]]]:
    """Every subject with its comparisons of that kind, where it has any."""
    for subject in lookup.subjects:
        mine = (m for m in lookup.results.measurements if m.artifact == subject.artifact.sha256)
        found = [m for m in mine if m.runtime == subject.runtime and m.details.get("against") == against]
        if found:
            yield subject, found


def _figure(measurement: Measurement) -> Cell:
    """Where nothing differs there is no noise, and the recorded ratio is a bound."""
    if measurement.metric == "sqnr_db" and measurement.details.get("identical"):
        return cell("identical")
    return figure_cell(measurement)


def _logits(found: Sequence[Measurement]) -> tuple[Cell, ...]:
    figures = []
    for metric, worst in _WORST.items():
        values = [m for m in found if m.metric == metric]
        figures.append(_figure(worst(values, key=lambda m: m.value)) if values else NOTHING)
    sizes = sorted({m.n for m in found if m.metric in _WORST})
    return (*figures, cell(" or ".join(f"{n:,}" for n in sizes)))
