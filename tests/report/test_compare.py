"""Two runs side by side, against changes made by hand."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from example_results import example
from rich.console import Console

from compress.errors import NoVerdictError
from compress.measure.paired import compare_paired, paired_interval
from compress.report.compare import Change, Comparison, compare_runs
from compress.report.compare_terminal import render_comparison
from compress.types import Measurement, Results

FILE = "student-int8.tflite"


@pytest.fixture(scope="module")
def results() -> Results:
    return example()


def changed(results: Results, metric: str, change: Callable[[Measurement], dict[str, Any]], **where: str) -> Results:
    """The results with other measurements of that metric of FILE."""
    sha256 = next(a.sha256 for a in results.artifacts if a.name == FILE)

    def meant(m: Measurement) -> bool:
        return (m.artifact, m.metric) == (sha256, metric) and all(getattr(m, k) == v for k, v in where.items())

    found = tuple(dataclasses.replace(m, **change(m)) if meant(m) else m for m in results.measurements)
    assert found != results.measurements
    return dataclasses.replace(results, measurements=found)


def compare(before: Results, after: Results) -> Comparison:
    return compare_runs(before, after, paired_interval)


def differing(comparison: Comparison) -> list[Change]:
    return [change for change in comparison.changes if change.difference != 0]


def test_a_run_equals_itself(results: Results) -> None:
    same = compare(results, results)
    assert {artifact.change for artifact in same.artifacts} == {"same"}
    assert (differing(same), same.refused, same.unmatched) == ([], (), 0)
    assert len(same.changes) == len(results.measurements)
    assert not any(change.told_apart for change in same.changes)


def test_artifacts_go_by_name_and_bytes(results: Results) -> None:
    first, second, *rest = results.artifacts
    after = dataclasses.replace(
        results,
        artifacts=(dataclasses.replace(first, name="new.onnx"), dataclasses.replace(second, sha256="f" * 64), *rest),
    )
    found = {artifact.name: artifact.change for artifact in compare(results, after).artifacts}
    assert found.pop(first.name) == "only before"
    assert found.pop("new.onnx") == "only after"
    assert found.pop(second.name) == "changed"
    assert set(found.values()) == {"same"}


def test_an_exact_count_that_differs_is_told_apart(results: Results) -> None:
    after = changed(results, "instructions", lambda m: {"value": m.value + 1}, target="cortex-a76")
    (change,) = differing(compare(results, after))
    assert (change.artifact, change.difference, change.interval, change.told_apart) == (FILE, 1.0, None, True)


@pytest.mark.parametrize(("lost", "gained", "told_apart"), [(90, 10, True), (30, 22, False), (4, 40, True)])
def test_accuracies_are_compared_image_by_image(results: Results, lost: int, gained: int, told_apart: bool) -> None:
    rng = np.random.default_rng(lost)
    before = rng.random(10_000) < 0.91
    after = before.copy()
    after[rng.choice(np.flatnonzero(before), lost, replace=False)] = False
    after[rng.choice(np.flatnonzero(~before), gained, replace=False)] = True
    runs = [
        changed(results, "accuracy", lambda _, right=right: kept(right), target="host") for right in (before, after)
    ]
    (change,) = differing(compare(*runs))
    oracle = compare_paired(after, before)
    assert (change.lost, change.gained) == (lost, gained)
    assert change.difference == pytest.approx(oracle.value)
    assert change.interval == pytest.approx(oracle.interval)
    assert change.told_apart is told_apart


def kept(right: np.ndarray) -> dict[str, Any]:
    bits = base64.b64encode(np.packbits(right).tobytes()).decode()
    return {"value": float(right.mean()), "details": {"correct": int(right.sum()), "correct_images": bits}}


def test_without_the_images_the_intervals_alone_speak(results: Results) -> None:
    runs = [
        changed(results, "accuracy", lambda _, v=v: {"value": v, "interval": (v - 0.01, v + 0.01), "details": {}})
        for v in (0.90, 0.93)
    ]
    change = next(c for c in differing(compare(*runs)) if c.before.target == "host")
    assert (change.lost, change.gained) == (None, None)
    assert change.interval == pytest.approx((0.01, 0.05))
    assert change.told_apart


def test_other_test_images_are_not_compared(results: Results) -> None:
    provenance = dict(results.provenance) | {"task": {"splits": {"test": {"sha256": "other"}}}}
    found = compare(results, dataclasses.replace(results, provenance=provenance))
    assert any(sentence.startswith("accuracy of host is not compared") for sentence in found.refused)
    assert not {"accuracy", "macro_f1"} & {change.before.metric for change in found.changes}
    assert {"size_bytes", "instructions"} <= {change.before.metric for change in found.changes}


def test_files_of_equal_bytes_are_compared_under_each_name(results: Results) -> None:
    """They are measured once: a student that was not changed is its own baseline."""
    teacher = next(a for a in results.artifacts if a.name == "teacher-float32.tflite")
    student = dataclasses.replace(teacher, name="student-auto.tflite", role="student")
    twins = dataclasses.replace(results, artifacts=(*results.artifacts, student))
    same = compare(twins, twins)
    of_teacher = [m for m in results.measurements if m.artifact == teacher.sha256]
    for name in (teacher.name, student.name):
        assert [change.before for change in same.changes if change.artifact == name] == of_teacher
    assert compare(results, twins).unmatched == len(of_teacher)


def test_predictions_for_other_numbers_of_threads_are_refused(results: Results) -> None:
    sha256 = next(a.sha256 for a in results.artifacts if a.name == FILE)
    one = Measurement(
        metric="predicted_latency_ms", unit="ms", value=4.0, n=1, artifact=sha256, runtime="litert 2.3.0",
        target="Pixel 4", how="predicted", interval=(3.0, 5.0), details={"threads": 1},
    )  # fmt: skip
    four = dataclasses.replace(one, value=1.0, interval=(0.5, 2.0), details={"threads": 4})
    before, after = (dataclasses.replace(results, measurements=(*results.measurements, m)) for m in (one, four))
    assert not compare(before, before).refused
    comparison = compare(before, after)
    assert differing(comparison) == []
    assert comparison.refused == ("predicted latencies are not compared: threads is 1 before and 4 after",)


@pytest.mark.parametrize("fact", ["machine", "threads"])
def test_latencies_of_different_machines_are_refused(results: Results, fact: str) -> None:
    after = changed(results, "latency_ms", lambda m: {"details": {**m.details, fact: 4}})
    found = compare(results, after)
    (sentence,) = found.refused
    assert sentence.startswith(f"latencies are not compared: {fact} is ")
    assert sentence.endswith("and 4 after")
    timed = [change.artifact for change in found.changes if change.before.metric == "latency_ms"]
    assert len(timed) == 7
    assert FILE not in timed


def test_latencies_by_two_builds_of_a_tool_are_refused(results: Results) -> None:
    """It is known by its content alone: what it links, and how it was built, nobody can say."""

    def by(build: str, ms: float) -> Results:
        def timed(m: Measurement) -> dict[str, Any]:
            details = {**m.details, "statistic": "mean", "tool": []}
            return {"runtime": f"benchmark_model {build}", "value": ms, "samples": (), "details": details}

        return changed(results, "latency_ms", timed)

    found = compare(by("0a1b", 2.0), by("2c3d", 1.0))
    (sentence,) = found.refused
    assert sentence == "latencies are not compared: benchmark_model 0a1b took them before, benchmark_model 2c3d after"
    assert not differing(found)
    (change,) = differing(compare(by("0a1b", 2.0), by("0a1b", 1.0)))
    assert change.difference == -1.0


def test_another_version_of_a_runtime_is_compared_and_named(results: Results) -> None:
    after = changed(results, "instructions", lambda m: {"runtime": "litert 3.0.0", "value": m.value * 2})
    assert len(differing(compare(results, after))) == 4
    assert "2.00×" in printed(compare(results, after))
    assert "litert 2.3.0, then litert 3.0.0" in printed(compare(results, after))


def test_runs_with_nothing_in_common_end_without_a_verdict(results: Results) -> None:
    artifacts = tuple(dataclasses.replace(a, name=f"other-{a.name}") for a in results.artifacts)
    with pytest.raises(NoVerdictError, match="nothing to compare"):
        compare(results, dataclasses.replace(results, artifacts=artifacts))


def printed(comparison: Comparison) -> str:
    out = io.StringIO()
    render_comparison(comparison, Console(file=out, width=100))
    return out.getvalue()


def test_the_terminal_tells_what_changed_apart_from_chance(results: Results) -> None:
    after = changed(results, "size_bytes", lambda m: {"value": m.value * 2})
    after = changed(after, "macro_f1", lambda m: {"value": m.value + 0.001})
    text = printed(compare(results, after))
    changed_part, chance = text.split("Within what chance explains")
    assert "size_bytes" in changed_part
    assert "macro_f1" in chance
    assert text.splitlines()[-1].startswith("Measurements: 1 changed, 1 within chance, ")


def test_names_cannot_write_to_the_terminal(results: Results) -> None:
    artifacts = tuple(dataclasses.replace(a, name=f"\x1b[2J{a.name}") for a in results.artifacts)
    hostile = dataclasses.replace(results, artifacts=artifacts)
    assert "\x1b" not in printed(compare(hostile, hostile))
