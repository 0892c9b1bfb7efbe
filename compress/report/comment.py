"""report.md: the tables of the page, compact, to stand as a comment on a pull request."""

from __future__ import annotations

import re

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compress.report.choice import choice_table
from compress.report.devices import device_table
from compress.report.evidence import audit_table, left_in_float_table, macs_table
from compress.report.fidelity import fidelity_tables
from compress.report.headline import headline
from compress.report.lookup import Lookup
from compress.report.page import TEMPLATES
from compress.report.phones import phone_table
from compress.report.provenance import fact_table, file_table
from compress.report.rows import budget_table, latency_table, results_table, teacher_table
from compress.report.sensitivity import sensitivity_table
from compress.report.tables import Cell, printable
from compress.types import Results

_SPECIAL = re.compile(r"([\\`*\[\]<>|#~$&])")


def markdown(results: Results) -> str:
    """GitHub's Markdown; names from outside cannot format, link or break a table."""
    lookup = Lookup(results)
    devices, phones, choice = device_table(lookup), phone_table(lookup), choice_table(lookup)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["escape_markdown"] = escape
    environment.filters["cell"] = write_cell
    return environment.get_template("report.md.j2").render(
        name=printable(results.name),
        headline=headline(results),
        budgets=budget_table(results.verdicts),
        results=results_table(lookup),
        details={
            **({"What auto chose from": choice} if choice.rows else {}),
            "Latency on the host": latency_table(lookup),
            **({"Latency on devices": devices} if devices.rows else {}),
            **({"Predicted latency on phones": phones} if phones.rows else {}),
            "What the teacher was worth": teacher_table(lookup),
            "Multiply-accumulates": macs_table(lookup),
            **{f"Fidelity: {title}": table for title, table in fidelity_tables(lookup).items()},
            "Inside the files": audit_table(lookup),
            "What stays in float": left_in_float_table(lookup),
            "What rounding costs": sensitivity_table(lookup),
            "Files": file_table(results),
            "Versions, data and machines": fact_table(results),
        },
        notes=[printable(note) for note in results.notes],
    )


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", text)


def write_cell(cell: Cell) -> str:
    """A cell on one line; what qualifies the figure stands behind it in small type."""
    text = f"**{escape(cell.text)}**" if cell.tone else escape(cell.text)
    return f"{text} <sub>{escape(cell.small)}</sub>" if cell.small else text
