"""What rounding each layer alone costs, from the provenance: a table of the dearest, and a figure of all."""

from __future__ import annotations

from compress.report.lookup import Lookup
from compress.report.tables import Column, Table, cell, printable
from compress.types import MOST_SQNR_DB, Json
from compress.units import brief, exact

MOST_ROWS = 12
_MISSING = "Not measured: the recipe makes no int8 of the student by calibration."


def sensitivity_table(lookup: Lookup) -> Table:
    """The layers and values whose rounding costs most, the dearest first."""
    columns = (
        Column(key="layer", title="Layer", numeric=False),
        Column(key="sqnr_db", title="SQNR alone"),
        Column(key="agreement", title="Same class"),
        Column(key="parameters", title="Parameters"),
    )
    found = lookup.results.provenance.get("sensitivity")
    if not found:
        return Table(columns=columns, rows=(), missing=_MISSING)
    dearest = sorted(found["layers"], key=lambda each: each["sqnr_db"])[:MOST_ROWS]
    rows = tuple(
        (
            cell(*split_layer(each["layer"])),
            cell("identical" if each["sqnr_db"] >= MOST_SQNR_DB else brief(each["sqnr_db"], "dB")),
            cell(exact(each["agreement"], "fraction")),
            cell(f"{each['parameters']:,}"),
        )
        for each in dearest
    )
    return Table(columns=columns, rows=rows, notes=(_reading(found, len(dearest)),), missing="No layer is rounded.")


def split_layer(layer: str) -> tuple[str, str]:
    """`blocks.0.conv (aten.conv2d.default)` -> where it is, and what it does."""
    path, _, operator = layer.partition(" (")
    return printable(path), printable(operator.removesuffix(")"))


def _reading(found: Json, shown: int) -> str:
    whole, count = found["whole"], len(found["layers"])
    part = f"The {shown} dearest of {count}; results.json has all." if shown < count else "All that is rounded."
    return (
        f"{part} Each alone is rounded to int8, all else stays in float32, and the logits of {found['images']}"
        f" calibration images are compared with those of float32. Rounded together, before repairs:"
        f" {brief(whole['sqnr_db'], 'dB')}, same class {exact(whole['agreement'], 'fraction')}. A layer counts with its"
        " weights and output; what has no parameters is a value between layers."
    )
