"""report.html: one self-contained file without scripts, readable on a screen, on a phone and on paper."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compress.report.choice import choice_table
from compress.report.devices import device_table
from compress.report.evidence import audit_table, emulated_accuracy_table, left_in_float_table, macs_table
from compress.report.fidelity import fidelity_tables
from compress.report.headline import headline
from compress.report.lookup import Lookup
from compress.report.phones import phone_table
from compress.report.provenance import fact_table, file_table, recipe_text
from compress.report.rows import budget_table, latency_table, results_table, teacher_table
from compress.report.sensitivity import sensitivity_table
from compress.report.tables import printable
from compress.types import Results

TEMPLATES = Path(__file__).parent / "templates"


def html(results: Results) -> str:
    """The page; the same results give the same text, byte for byte."""
    # matplotlib takes half a second to import; those who only want a verdict on a terminal need not wait for it.
    from compress.report import figures

    lookup = Lookup(results)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        name=printable(results.name),
        headline=headline(results),
        budgets=budget_table(results.verdicts),
        results=results_table(lookup),
        tradeoffs=figures.tradeoff_drawings(lookup),
        latency=figures.latency_drawing(lookup),
        latencies=latency_table(lookup),
        devices=device_table(lookup),
        phones=phone_table(lookup),
        forecasts=figures.phone_drawings(lookup),
        choice=choice_table(lookup),
        mixes=figures.mix_drawings(lookup),
        macs=macs_table(lookup),
        fidelity=fidelity_tables(lookup),
        emulated_accuracy=emulated_accuracy_table(lookup),
        audit=audit_table(lookup),
        left_in_float=left_in_float_table(lookup),
        bytes=figures.bytes_drawing(lookup),
        layers=figures.layer_drawing(lookup),
        sensitivity=sensitivity_table(lookup),
        teacher=teacher_table(lookup),
        notes=[printable(note) for note in results.notes],
        recipe=recipe_text(results),
        facts=fact_table(results),
        files=file_table(results),
    )
