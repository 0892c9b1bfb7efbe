"""What tflite-runtime made of files, and what variants are held against, has a table of its own in every report."""

from __future__ import annotations

import dataclasses

from example_results import example
from reading import markdown_tables

from compress.measure.comparison import Reference
from compress.report.comment import markdown
from compress.report.lookup import Lookup
from compress.report.page import html
from compress.types import Measurement, Results

NAMES = ("teacher-float32.tflite", "student-int8.tflite", "student-float32.tflite")
DETAILS: tuple[dict[str, object], ...] = (
    {"state": "agrees", "agreement": 1.0, "max_abs_difference": 0.00012},
    {"state": "silently wrong", "agreement": 0.12, "max_abs_difference": 7.74, "why": "silently wrong: ..."},
    {"state": "fails", "why": "ValueError: Didn't find op FULLY_CONNECTED version '12'"},
)


def with_old_runtime(results: Results) -> Results:
    files = {artifact.name: artifact.sha256 for artifact in results.artifacts}
    tried = tuple(
        Measurement(
            metric="compatible", unit="fraction", value=float(details["state"] == "agrees"), n=256,
            artifact=files[name], runtime="tflite-runtime 2.14.0", target="host", how="native",
            reference=files[name], details=details,
        )
        for name, details in zip(NAMES, DETAILS, strict=True)
    )  # fmt: skip
    return dataclasses.replace(results, measurements=(*results.measurements, *tried))


def test_each_file_has_its_outcome_and_its_words() -> None:
    results = with_old_runtime(example())
    (table,) = (rows for rows in markdown_tables(markdown(results)) if ("Outcome", "") in rows[0])
    agrees, wrong, fails = [[text for text, _ in row] for row in table[1:]]
    assert agrees == [NAMES[0], "host", "agrees", "1.0000", "0.00012", "256", "–"]
    assert wrong == [NAMES[1], "host", "silently wrong", "0.1200", "7.7", "256", "–"]
    assert fails[2:] == ["fails", "–", "–", "256", "ValueError: Didn't find op FULLY_CONNECTED version '12'"]
    assert "On tflite-runtime, which older apps ship" in html(results)


def test_it_is_no_runtime_of_the_results() -> None:
    before, after = Lookup(example()), Lookup(with_old_runtime(example()))
    assert after.subjects == before.subjects
    assert "which older apps ship" not in markdown(example()) + html(example())


def test_a_variant_stands_beside_its_source() -> None:
    results = example()
    source = next(artifact for artifact in results.artifacts if artifact.name == "student-int8.onnx")
    variant = dataclasses.replace(
        source, name="student-int8.ort", format="ort", sha256="0" * 64, size_bytes=1000, parent=source.sha256
    )
    against = Reference(against="source", sha256=source.sha256, name=source.name)
    compared = tuple(
        Measurement(
            metric=metric, unit=unit, value=value, n=10_000, artifact=variant.sha256, runtime="onnxruntime 1.32.0",
            target="host", how="native", reference=source.sha256, details={**against.details(), "identical": True},
        )
        for metric, unit, value in (
            ("agreement", "fraction", 1.0), ("max_abs_difference", "logits", 0.0), ("bit_exact", "fraction", 1.0),
            ("sqnr_db", "dB", 200.0),
        )
    )  # fmt: skip
    results = dataclasses.replace(
        results,
        artifacts=(*results.artifacts, variant),
        measurements=(*results.measurements, *compared),
        audits={**results.audits, variant.sha256: {"format": "ort", "size_bytes": 1000, "ops": {"QLinearConv": 3}}},
    )
    text = markdown(results)
    (table,) = (
        rows for rows in markdown_tables(text) if rows[0][1][0] == "Made from" and rows[0][2][0] == "Same class"
    )
    assert [cell for cell, _ in table[1]] == [
        variant.name, source.name, "1.0000", "0", "identical", "1.0000", "10,000",
    ]  # fmt: skip
    (files,) = (rows for rows in markdown_tables(text) if rows[0][0][0] == "File")
    assert [cell for cell, _ in files[-1]][:3] == [variant.name, "static_int8", source.name]
    assert "3\N{NO-BREAK SPACE}QLinearConv" in text
    assert "student-int8.ort" in html(results)
