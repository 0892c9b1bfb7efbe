"""Cells that several tables share: the name of a row, and a measured figure."""

from __future__ import annotations

from compress.report.lookup import Subject
from compress.report.tables import NOTHING, Cell, cell
from compress.types import Measurement
from compress.units import brief


def name_cell(subject: Subject) -> Cell:
    """The file, and the runtime that the row is about."""
    return cell(subject.artifact.name, subject.runtime or "never run")


def figure_cell(measurement: Measurement | None) -> Cell:
    """The value with its unit, and its 95 % interval where it has one."""
    if measurement is None:
        return NOTHING
    text = brief(measurement.value, measurement.unit)
    if measurement.interval is None:
        return cell(text)
    low, high = (brief(end, measurement.unit) for end in measurement.interval)
    return cell(text, f"{low.removesuffix(' ms')} to {high}")
