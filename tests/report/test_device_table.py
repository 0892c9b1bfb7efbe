"""What devices measured has a table of its own, and is taken for nothing that the host measured."""

from __future__ import annotations

import dataclasses

from example_results import example
from reading import markdown_tables

from compress.measure.latency import latency, tool_latency
from compress.report.comment import markdown
from compress.report.lookup import Lookup
from compress.report.page import html
from compress.types import Measurement, Results

NAME = "student-int8.tflite"


def with_devices(results: Results) -> Results:
    file = next(artifact for artifact in results.artifacts if artifact.name == NAME)
    machine = {"processor": "cortex-a76 × 4", "governor": "performance"}
    timed = latency(
        file.sha256, [[2e6, 3e6]], runtime="litert 2.1.0", target="pi4", details={"threads": 1, "machine": machine}
    )
    told = tool_latency(file.sha256, [7e6], [30], runtime="benchmark_model 1a", target="pixel", details={"threads": 2})
    exact = Measurement(
        metric="bit_exact", unit="fraction", value=0.75, n=8, artifact=file.sha256, runtime="litert 2.1.0",
        target="pi4", how="native",
    )  # fmt: skip
    return dataclasses.replace(results, measurements=(timed, *results.measurements, told, exact))


def test_a_row_for_each_device() -> None:
    results = with_devices(example())
    (table,) = (rows for rows in markdown_tables(markdown(results)) if rows[0][1][0] == "Device")
    _, pi4, pixel = [[text for text, _ in row] for row in table]
    assert pi4 == [NAME, "pi4", "2.50 ms", "2.90 ms", "2.99 ms", "–", "75.0 %"]
    assert pixel == [NAME, "pixel", "7.00 ms (mean)", "–", "–", "–", "–"]
    assert "Latency on devices" in html(results)


def test_the_host_keeps_its_own() -> None:
    """Its rows, runtimes, latencies and machine, though the devices have other ones."""
    before, after = Lookup(example()), Lookup(with_devices(example()))
    assert after.subjects == before.subjects
    for subject in before.subjects:
        assert after.find(subject, "latency_ms") == before.find(subject, "latency_ms")
    facts = dict(row.split(" | ")[:2] for row in markdown(with_devices(example())).splitlines() if row.count("|") == 3)
    assert facts["| latency machine pi4 governor"].strip(" |") == "performance"
    plain = markdown(example())
    assert "Latency on devices" not in plain + html(example())
    assert [line for line in plain.splitlines() if line.startswith("| latency machine processor")]


def test_a_board_is_no_emulated_core() -> None:
    """Though it has the host's runtime and was compared with the host."""
    results = example()
    emulated = next(m for m in results.measurements if m.how == "emulated" and m.details.get("against") == "host")
    board = dataclasses.replace(emulated, target="pi4", how="native")
    assert "pi4" not in markdown(dataclasses.replace(results, measurements=(*results.measurements, board)))
