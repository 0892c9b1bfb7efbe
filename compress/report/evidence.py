"""The tables a sceptic comes for: emulated accuracy and counts, audits."""

from __future__ import annotations

from compress.report.cells import figure_cell, name_cell
from compress.report.lookup import Lookup
from compress.report.tables import NOTHING, Cell, Column, Table, cell
from compress.types import Json, Measurement
from compress.units import brief


def emulated_accuracy_table(lookup: Lookup) -> Table:
    """Accuracy on the emulated cores, where only some images were run."""
    targets = {m.target for m in lookup.results.measurements if m.metric == "accuracy" and m.how == "emulated"}
    cores = sorted(targets)
    rows = []
    for subject in lookup.subjects:
        scores = [lookup.find(subject, "accuracy", core) for core in cores]
        sizes = sorted({score.n for score in scores if score})
        if sizes:
            figures = [figure_cell(score) for score in scores]
            rows.append((name_cell(subject), *figures, cell(" or ".join(f"{n:,}" for n in sizes))))
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        *(Column(key=core, title=core) for core in cores),
        Column(key="n", title="n images"),
    )
    return Table(columns=columns, rows=tuple(rows), missing="Nothing was scored in emulation.")


def macs_table(lookup: Lookup) -> Table:
    """Multiply-accumulates that the graph asks for, and those that each core executed."""
    cores = sorted({m.target for m in lookup.results.measurements if m.metric == "executed_macs"})
    rows = []
    for subject in lookup.subjects:
        asked = lookup.find(subject, "macs")
        executed = [lookup.find(subject, "executed_macs", core) for core in cores]
        if asked or any(executed):
            rows.append((name_cell(subject), figure_cell(asked), *(_executed(m, asked) for m in executed)))
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="macs", title="MACs of the graph"),
        *(Column(key=core, title=f"Executed {core}") for core in cores),
    )
    notes = (
        "Multiply-accumulates of one inference. Kernels pad channels and skip borders: they may execute more or fewer.",
    )
    return Table(columns=columns, rows=tuple(rows), notes=notes, missing="No multiply-accumulates were counted.")


def audit_table(lookup: Lookup) -> Table:
    """What is inside each file."""
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="parameters", title="Parameters"),
        Column(key="int8", title="Int8 operators"),
        Column(key="compute_ops", title="Compute operators"),
        Column(key="islands", title="Float islands"),
        Column(key="conversions", title="Conversions"),
        Column(key="transposes", title="Transposes"),
        Column(key="ops", title="Operators", numeric=False),
    )
    audits = lookup.results.audits
    files = dict.fromkeys(subject.artifact for subject in lookup.subjects)
    rows = tuple(_audit_row(a.name, audits[a.sha256]) for a in files if a.sha256 in audits)
    notes = (
        "A float island is a float operator between integer ones: it costs two conversions. Conversions are"
        " quantisations and dequantisations at run time, beside those that a runtime fuses into an integer operator.",
    )
    return Table(columns=columns, rows=rows, notes=notes, missing="No graph was audited.")


def left_in_float_table(lookup: Lookup) -> Table:
    """What a scheme was to put on integers and did not, with the reason; files of both formats are alike."""
    files: dict[tuple[str, str], list[str]] = {}
    for name, found in lookup.results.provenance.get("quantization", {}).items():
        for left in dict.fromkeys((each["node"], each["reason"]) for each in found.get("left_in_float", ())):
            files.setdefault(left, []).append(name)
    rows = tuple((cell(node), cell(reason), cell(", ".join(names))) for (node, reason), names in files.items())
    columns = (
        Column(key="operator", title="Operator", numeric=False),
        Column(key="reason", title="Why it stays in float", numeric=False),
        Column(key="files", title="Files", numeric=False),
    )
    return Table(columns=columns, rows=rows, missing="Whatever was to run on integers does.")


def _executed(executed: Measurement | None, asked: Measurement | None) -> Cell:
    if executed is None:
        return NOTHING
    share = f"{100 * executed.value / asked.value:.1f} % of the graph" if asked and asked.value > 0 else ""
    return cell(brief(executed.value, executed.unit), share)


def _audit_row(name: str, audit: Json) -> tuple[Cell, ...]:
    ops = sorted(audit.get("ops", {}).items(), key=lambda op: (-op[1], op[0]))
    islands = audit.get("float_islands", [])
    return (
        cell(name),
        _count(audit, "parameters"),
        cell(f"{100 * audit['int8_op_share']:.1f} %") if "int8_op_share" in audit else NOTHING,
        _count(audit, "compute_ops"),
        cell(str(len(islands)), ", ".join(str(island) for island in islands[:3])),
        _count(audit, "conversions"),
        _count(audit, "transposes"),
        cell(", ".join(f"{count}\N{NO-BREAK SPACE}{op}" for op, count in ops)),
    )


def _count(audit: Json, key: str) -> Cell:
    return cell(f"{audit[key]:,}") if key in audit else NOTHING
