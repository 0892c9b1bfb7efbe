"""The numbers of page, comment and terminal are the results' own, and the same."""

from __future__ import annotations

import dataclasses
import io
import re
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from example_results import CORES, example, with_name
from reading import Page, markdown_tables, number
from rich.console import Console
from scipy.stats import gmean

from compress.report import html, junit, markdown
from compress.report.terminal import render, render_verdicts
from compress.types import Measurement, Results


@pytest.fixture(scope="module")
def results() -> Results:
    return example(failing=True)


@pytest.fixture(scope="module")
def comment(results: Results) -> str:
    return markdown(results)


def measured(results: Results, name: str, metric: str, target: str = "host") -> Measurement | None:
    sha256 = next(a.sha256 for a in results.artifacts if a.name == name)
    found = (m for m in results.measurements if (m.artifact, m.metric, m.target) == (sha256, metric, target))
    return next(found, None)


def test_every_number_of_the_results_table_is_the_measured_one(results: Results, comment: str) -> None:
    head, *rows = markdown_tables(comment)[1]
    columns = {
        "Size": ("size_bytes", "host"),
        "Accuracy": ("accuracy", "host"),
        "Drop": ("accuracy_drop", "host"),
        "Macro F1": ("macro_f1", "host"),
        "Latency p50": ("latency_ms", "host"),
    } | {f"Instructions {core}": ("instructions", core) for core in CORES}
    assert [title for title, _ in head] == ["Artifact", *columns]
    compared = 0
    for row in rows:
        for (text, small), (metric, target) in zip(row[1:], columns.values(), strict=True):
            m = measured(results, row[0][0], metric, target)
            if m is None:
                assert text == "–"
                continue
            exactness = {"abs": 5.001e-5} if m.unit == "fraction" else {"rel": 0.005}
            assert number(text) == pytest.approx(m.value, **exactness)
            if m.interval and m.unit == "fraction":
                assert [number(end) for end in small.split(" to ")] == pytest.approx(m.interval, abs=5.001e-5)
            compared += 1
    assert compared == 8 * len(columns) - 2  # the teachers have no drop


def test_every_gain_is_the_quotient_to_the_teacher(results: Results, comment: str) -> None:
    for row in markdown_tables(comment)[1][1:]:
        name = row[0][0]
        teacher = f"teacher-float32.{name.rsplit('.')[-1]}"
        for place, (metric, target) in {
            1: ("size_bytes", "host"),
            5: ("latency_ms", "host"),
            9: ("instructions", "cortex-a76"),
        }.items():
            mine, its = measured(results, name, metric, target), measured(results, teacher, metric, target)
            assert mine
            assert its
            if name == teacher:
                assert row[place][1] == ""
            else:
                gain = float(row[place][1].split("×")[0])
                expected = by_round(its, mine) if metric == "latency_ms" else its.value / mine.value
                assert gain == pytest.approx(expected, rel=0.005)


def by_round(its: Measurement, mine: Measurement) -> float:
    medians = [np.median(np.reshape(m.samples, (5, 30)), axis=1) for m in (its, mine)]
    return float(gmean(medians[0] / medians[1]))


def test_the_latency_table_shows_the_speed_up_with_its_interval(results: Results, comment: str) -> None:
    (table,) = (t for t in markdown_tables(comment) if t[0][-1][0] == "Speed-up")
    assert [row[-1] for row in table[1:3]] == [("–", "")] * 2
    for row in table[3:]:
        mine = measured(results, row[0][0], "latency_ms")
        assert mine
        speedup = mine.details["speedup"]
        shown = [float(x) for x in re.findall(r"[\d.]+", " ".join(row[-1]))]
        assert shown == pytest.approx([speedup["value"], *speedup["interval"]], rel=0.005)
        assert speedup["interval"][0] < speedup["value"] < speedup["interval"][1]


def test_page_and_comment_show_the_same_cells(results: Results, comment: str) -> None:
    page = Page(html(results)).tables
    for table in markdown_tables(comment):
        assert table in page


def test_the_budget_table_writes_the_verdicts(results: Results, comment: str) -> None:
    rows = markdown_tables(comment)[0][1:]
    by_reason = {verdict.reason: verdict for verdict in results.verdicts}
    assert len(rows) == len(results.verdicts)
    for status, artifact, _, value, limit, excess, reason in ([text for text, _ in row] for row in rows):
        verdict = by_reason[reason]
        assert (status, artifact) == (verdict.status, verdict.artifact)
        assert number(limit) == pytest.approx(verdict.limit, rel=1e-3)
        for shown, true in ((value, verdict.value), (excess, verdict.excess or None)):
            if true is None:
                assert shown == "–"
            else:
                assert number(shown) == pytest.approx(true, rel=0.02)


def test_the_comment_cannot_be_broken_by_a_name() -> None:
    name = "a | b **c** [d](https://e) <script> `f` \\ # ~ \n g.tflite"
    plain = markdown(example(only="student-int8.tflite"))
    broken = markdown(with_name(example(only="student-int8.tflite"), "student-int8.tflite", name))
    assert "<script" not in broken.replace("\\<script", "")
    assert [len(row) for table in markdown_tables(broken) for row in table] == [
        len(row) for table in markdown_tables(plain) for row in table
    ]
    assert markdown_tables(broken)[1][1][0][0] == name.replace("\n", " ")


def printed(results: Results, **console: object) -> str:
    out = io.StringIO()
    render(results, Console(file=out, **console))  # type: ignore[arg-type]
    return out.getvalue()


def test_the_terminal_shows_the_comments_figures(results: Results, comment: str) -> None:
    lines = printed(results).splitlines()
    assert lines[0].split("  ")[0] == "artifact"
    for line, row in zip(lines[1:9], markdown_tables(comment)[1][1:], strict=True):
        cells = re.split(r"  +", line.strip())
        assert cells[0] == row[0][0]
        figures = [text for text, _ in (row[1], row[2], row[3], row[5], row[9])]
        assert [cell for cell in cells[1:] if not cell.endswith("×")] == figures


def test_the_table_fits_and_the_verdict_is_last(results: Results) -> None:
    text = printed(results)
    assert max(len(line) for line in text.splitlines()[:9]) <= 100
    assert "\x1b" not in text
    assert text.splitlines()[-1] == "FAIL  Of 10 limits, 7 kept, 2 failed, 1 missing."
    assert all(f"{v.status:<8}{v.reason}" in text.splitlines() for v in results.verdicts)


def test_the_terminal_shows_what_auto_went_by(results: Results) -> None:
    """Of phones, which then decide, the first; all of them are in the report."""
    costs = {"instructions": {"cortex-a76": {"tflite": 5_890_000}}}
    predicted = {"Pixel 4": {"tflite": 12.3}, "Pixel 2": {"tflite": 61.9}}
    known = {"config": {}, "accuracy": {"tflite": 0.9}, "size_bytes": {"tflite": 7_000}, "reason": "", **costs}
    candidate = {"name": "static_int8", "verdict": "chosen", **known}
    for phones, head, figures in (
        ({}, "cortex-a76 instr.", "5.89 M"),
        (predicted, "Pixel 2 predicted  cortex-a76 instr.", "61.9 ms             5.89 M"),
    ):
        choice = {"candidates": [{**candidate, "predicted_ms": phones}], "images": 200, "limits": []}
        text = printed(dataclasses.replace(results, provenance={**results.provenance, "choice": choice}))
        at = next(n for n, line in enumerate(text.splitlines()) if line.startswith("scheme"))
        heads, row = text.splitlines()[at : at + 2]
        assert heads.endswith(f"size  {head}")
        assert row.endswith(figures)
        assert max(len(heads), len(row)) <= 100


def test_a_narrow_terminal_gets_the_figures_without_the_gains(results: Results) -> None:
    lines = printed(results, force_terminal=True, width=80, color_system=None).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "student-int8.tflite" in lines[8]
    assert "×" not in lines[8]


def test_a_terminal_gets_colour(results: Results) -> None:
    text = printed(results, force_terminal=True, width=120, color_system="standard")
    assert "\x1b[1;31mFAIL" in text
    assert "\x1b[32mPASS" in text


def test_an_ascii_terminal_is_written_in_ascii(results: Results) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    render(with_name(results, "student-int8.onnx", "模型.onnx"), Console(file=stream))
    stream.flush()
    assert b"54.6x" in raw.getvalue()
    assert b"??.onnx" in raw.getvalue()


def test_names_cannot_write_to_the_terminal() -> None:
    name = "[bold red]x[/] \x1b[2J\x07.tflite"
    text = printed(with_name(example(only="student-int8.tflite"), "student-int8.tflite", name))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold red]x[/]" in text


@pytest.mark.parametrize(("emulated", "only"), [(False, None), (True, "student-int8.tflite"), (True, "none such")])
def test_partial_results_print(emulated: bool, only: str | None) -> None:
    results = example(emulated=emulated, only=only)
    text = printed(results)
    assert text.splitlines()[-1].startswith("FAIL")
    assert all(note in text for note in results.notes)


def test_no_verdicts_are_no_pass() -> None:
    out = io.StringIO()
    render_verdicts(dataclasses.replace(example(), verdicts=()), Console(file=out, width=200))
    assert out.getvalue().startswith("NO VERDICT")


def test_junit_counts_what_blocks(results: Results) -> None:
    root = Xml.fromstring(junit(results).encode())
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("10", "2", "1")
    assert [case.get("classname") for case in suite] == [verdict.artifact for verdict in results.verdicts]
    for case, verdict in zip(suite, results.verdicts, strict=True):
        expected = {"PASS": [], "FAIL": ["failure"], "MISSING": ["error"]}[verdict.status]
        assert [problem.tag for problem in case] == expected
        assert [problem.get("message") for problem in case] == [verdict.reason] * len(expected)


def test_junit_titles_say_all_that_a_limit_is_about(results: Results) -> None:
    titles = {case.get("name") for case in Xml.fromstring(junit(results).encode())[0]}
    assert {
        "accuracy at least 0.925",
        "accuracy_drop at most 0.03 judged by the interval",
        "instructions at most 0.0667 on cortex-a76, relative to teacher-float32.*",
    } <= titles


def test_junit_without_verdicts_is_one_error(results: Results) -> None:
    suite = Xml.fromstring(junit(dataclasses.replace(results, verdicts=())).encode())[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "1")
    ((error,),) = suite
    assert error.tag == "error"
    assert error.get("message") == "The recipe sets no budgets, so nothing was judged."


def test_junit_stays_xml_whatever_the_name() -> None:
    name = '<a b="c">\x00\x1b]]>&.tflite'
    text = junit(with_name(example(only="student-int8.tflite"), "student-int8.tflite", name))
    assert Xml.fromstring(text.encode())[0]


def test_the_same_results_give_the_same_text(results: Results, comment: str) -> None:
    again = Results.from_json(results.to_json())
    assert markdown(again) == comment
    assert junit(again) == junit(results)
