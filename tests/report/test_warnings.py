"""A PASS that proves nothing is said to prove nothing, beside the verdict."""

from __future__ import annotations

import dataclasses
import io

import pytest
from example_results import BUDGETS, example
from rich.console import Console

from compress.gate import judge
from compress.report import html, markdown
from compress.report.terminal import render, render_verdicts
from compress.report.warnings import find_warnings
from compress.types import Budget, Results

EVERY_STUDENT = Budget(metric="accuracy_drop", artifact="student-*", at_most=1)


def judged(results: Results, *budgets: Budget) -> Results:
    return dataclasses.replace(results, verdicts=judge(budgets, results.artifacts, results.measurements))


def with_chance(results: Results, name: str, chance: float) -> Results:
    """As if always naming the most frequent class had that accuracy."""
    sha256 = next(a.sha256 for a in results.artifacts if a.name == name)
    measurements = tuple(
        dataclasses.replace(m, details={**m.details, "most_frequent": chance})
        if (m.artifact, m.metric) == (sha256, "accuracy")
        else m
        for m in results.measurements
    )
    return dataclasses.replace(results, measurements=measurements)


def test_nothing_to_warn_of() -> None:
    assert find_warnings(with_chance(judged(example(), EVERY_STUDENT), "student-int8.onnx", 0.1)) == ()


def test_a_student_at_chance_level() -> None:
    results = with_chance(judged(example(), EVERY_STUDENT), "student-int8.onnx", 0.92)
    (warning,) = find_warnings(results)
    assert warning.startswith("student-int8.onnx is no better than always naming the most frequent class: accuracy 0.9")
    assert warning.endswith("against 0.9200.")


def test_files_whose_accuracy_no_budget_limits() -> None:
    (warning,) = find_warnings(judged(example(), *BUDGETS))
    names = [f"student-{precision}.{fmt}" for precision in ("float32", "float16") for fmt in ("onnx", "tflite")]
    assert warning.startswith(f"No budget limits the accuracy of {', '.join(names)}: ")
    assert find_warnings(dataclasses.replace(example(), verdicts=())) == ()  # NO VERDICT says more


def test_ranges_that_saw_one_class() -> None:
    results = judged(example(), EVERY_STUDENT)
    split = {**results.provenance["task"]["splits"]["calibration"], "classes": 1}
    task = {**results.provenance["task"], "splits": {**results.provenance["task"]["splits"], "calibration": split}}
    (warning,) = find_warnings(dataclasses.replace(results, provenance={**results.provenance, "task": task}))
    assert warning.startswith("All 1,000 calibration images are of one class: the ranges of student-int8.onnx, ")


@pytest.mark.parametrize("draw", [render, render_verdicts])
def test_the_terminal_says_it_next_to_the_word(draw) -> None:
    out = io.StringIO()
    draw(judged(example(), *BUDGETS), Console(file=out, width=100))
    *_, warning, nothing, verdict = out.getvalue().splitlines()
    assert warning.startswith("WARNING  No budget limits the accuracy of student-float32.onnx")
    assert (nothing, verdict.split()[0]) == ("", "PASS")


def test_page_and_comment_say_it_before_the_budgets() -> None:
    results = judged(example(), *BUDGETS)
    for text, heading in ((html(results), "<h2>Budgets"), (markdown(results), "### Budgets")):
        assert "No budget limits the accuracy of" in text[: text.index(heading)]
