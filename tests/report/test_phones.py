"""Predicted latencies have a table and figures of their own, and stand among nothing that was measured."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree as Xml

from example_results import example
from reading import markdown_tables

from compress.gate import judge
from compress.report.comment import markdown
from compress.report.figures import phone_drawings
from compress.report.headline import headline
from compress.report.lookup import Lookup
from compress.report.page import html
from compress.report.phone_plot import Forecast, draw_phones
from compress.types import Budget, Measurement, Results

TEACHER, STUDENT = "teacher-float32.tflite", "student-int8.tflite"
SVG = "{http://www.w3.org/2000/svg}"


def with_phone(results: Results) -> Results:
    """On a Pixel 4, 2.4 ms and 0.3 ms, a fifth up and down."""
    by_name = {artifact.name: artifact for artifact in results.artifacts}
    predicted = [
        Measurement(
            metric="predicted_latency_ms", unit="ms", value=ms, n=1, interval=(ms / 1.2, ms * 1.2),
            artifact=by_name[name].sha256, runtime="litert 2.3.0", target="Pixel 4", how="predicted",
            details={
                "core": "cortex-a76", "ghz": [2.84, 2.42], "threads": 2, "warnings": warnings,
                "confidence": None if warnings else 0.9, "cases_ms": [ms, ms], "ratio_spread": 1.1,
                "parts_ms": {"fmla": 0.7 * ms, "caches": 0.1 * ms, "memory": 0.2 * ms},
                "cycles_by_layer": {"depthwise": 1e5, "products": 3e5} if name == STUDENT else {},
            },
        )
        for name, ms, warnings in ((TEACHER, 2.4, []), (STUDENT, 0.3, ["too small"]))
    ]  # fmt: skip
    budget = Budget(metric="predicted_latency_ms", artifact=STUDENT, target="Pixel 4", at_most=0.4)
    found = (*results.measurements, *predicted)
    return dataclasses.replace(results, measurements=found, verdicts=judge([budget], results.artifacts, found))


def test_a_row_for_each_file_and_phone() -> None:
    (table,) = (rows for rows in markdown_tables(markdown(with_phone(example()))) if rows[0][1][0] == "Phone")
    _, teacher, student = table
    assert [text for text, _ in teacher] == [
        TEACHER, "Pixel 4", "2.40 ms", "–", "float multiply-add 70 %, memory 20 %, second cache 10 %", "–",
    ]  # fmt: skip
    assert student[1] == ("Pixel 4", "2 threads, cortex-a76, 2.84 and 2.42 GHz")
    assert teacher[2] == ("2.40 ms", "2.00 to 2.88 ms")
    assert student[2] == ("0.300 ms", "0.250 to 0.360 ms, untested")
    assert student[3] == ("8.00×", "7.27× to 8.80×")
    assert (teacher[4][1], student[4][1]) == (
        "",
        "layers, of the cycles: convolutions and matrix products 75 %, depthwise convolutions 25 %",
    )
    assert student[5][0] == "too small"


def test_a_file_that_is_its_own_baseline_has_a_row_and_no_speed_up() -> None:
    """As the student's in float32, where the recipe has no teacher; the first sentence says so too."""
    results = with_phone(example())
    teacher = next(artifact for artifact in results.artifacts if artifact.name == TEACHER)
    twin = dataclasses.replace(teacher, name="student-auto.tflite", role="student")
    results = dataclasses.replace(results, artifacts=(teacher, twin))
    (table,) = (rows for rows in markdown_tables(markdown(results)) if rows[0][1][0] == "Phone")
    assert [(row[0][0], row[2][0], row[3][0]) for row in table[1:]] == [
        (TEACHER, "2.40 ms", "–"),
        ("student-auto.tflite", "2.40 ms", "–"),
    ]
    assert headline(results).gain.startswith("student-auto.tflite: 0.")
    assert headline(results).gain.endswith(f", byte for byte {TEACHER}.")


def test_what_was_measured_stays_as_it_was() -> None:
    before, after = example(), with_phone(example())
    assert Lookup(after).subjects == Lookup(before).subjects
    assert "Predicted latency" not in markdown(before) + html(before)
    assert "Predicted latency on phones" in html(after)


def count_limits(svg: str) -> int:
    groups = [group for group in Xml.fromstring(svg).iter(f"{SVG}g") if "LineCollection" in (group.get("id") or "")]
    return sum(len(list(group.iter(f"{SVG}path"))) > 0 for group in groups)


def test_a_budgets_limit_is_drawn_where_it_binds() -> None:
    """On the one file that it names; a ratio's limit is in no millisecond."""
    results = with_phone(example())
    (verdict,) = results.verdicts
    ratio = dataclasses.replace(verdict, budget=dataclasses.replace(verdict.budget, relative_to="teacher-*"))
    for verdicts, lines in (((verdict,), 1), ((ratio,), 0), ((), 0)):
        figure, _ = phone_drawings(Lookup(dataclasses.replace(results, verdicts=verdicts)))
        assert count_limits(figure.svg) == lines
        assert ("budget's limit" in figure.caption) == bool(lines)


def test_a_mark_for_each_file_and_a_line_for_each_limit() -> None:
    forecasts = [
        Forecast(name=f"file {n}", precision="float32", ms=n, interval=(n / 2, n * 2), limits=(3.0,) * (n > 1))
        for n in (1, 2, 3)
    ]
    text = draw_phones({"Pixel 4": forecasts, "Pi": forecasts[:1]}, "phones", "Predicted")
    root = Xml.fromstring(text)
    groups = [group.get("id") or "" for group in root.iter(f"{SVG}g")]
    assert sum("PathCollection" in name for name in groups) == 4
    assert count_limits(text) == 2
    words = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert {"Pixel 4", "Pi", "file 1", "file 3"} <= set(words)
    assert text == draw_phones({"Pixel 4": forecasts, "Pi": forecasts[:1]}, "phones", "Predicted")
