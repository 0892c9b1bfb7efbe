"""What stands beside the verdict, whatever it is: reasons not to take a PASS for proof of a good model."""

from __future__ import annotations

from compress.report.lookup import Lookup, Subject
from compress.report.tables import printable
from compress.types import CALIBRATED, Results
from compress.units import exact

_ACCURACIES = ("accuracy", "accuracy_drop", "macro_f1")


def find_warnings(results: Results) -> tuple[str, ...]:
    """One sentence each: files that know nothing, ranges that saw one class, and accuracies that no budget limits."""
    lookup = Lookup(results)
    students = [subject for subject in lookup.subjects if subject.artifact.role != "teacher"]
    found = [_chance(lookup, subject) for subject in students]
    found.append(_one_class(results, students))
    if results.verdicts:  # else the verdict says itself that there is none
        found.append(_unlimited(results, students))
    return tuple(dict.fromkeys(printable(warning) for warning in found if warning))


def _chance(lookup: Lookup, subject: Subject) -> str:
    """As a teacher is refused: the interval's low end is no better than the most frequent class."""
    accuracy = lookup.find(subject, "accuracy")
    if accuracy is None or accuracy.interval is None or "most_frequent" not in accuracy.details:
        return ""
    low, high = accuracy.interval
    chance = accuracy.details["most_frequent"]
    if low > chance:
        return ""
    return (
        f"{subject.artifact.name} is no better than always naming the most frequent class: accuracy"
        f" {exact(accuracy.value, 'fraction')} (95 % interval {low:.4f} to {high:.4f}) against {chance:.4f}."
    )


def _one_class(results: Results, students: list[Subject]) -> str:
    task = results.provenance.get("task", {})
    split = task.get("splits", {}).get("calibration", {})
    if split.get("classes") != 1 or len(task.get("classes", ())) < 2:
        return ""
    names = dict.fromkeys(s.artifact.name for s in students if s.artifact.precision in CALIBRATED)
    if not names:
        return ""
    return (
        f"All {split['images']:,} calibration images are of one class: the ranges of {', '.join(names)} were seen for"
        " it alone, and activations of the others may not fit. Put all classes into the calibration split."
    )


def _unlimited(results: Results, students: list[Subject]) -> str:
    limited = {verdict.artifact for verdict in results.verdicts if verdict.budget.metric in _ACCURACIES}
    names = list(dict.fromkeys(s.artifact.name for s in students if s.artifact.name not in limited))
    if not names:
        return ""
    return (
        f"No budget limits the accuracy of {', '.join(names)}: the verdict would be the same of a model that knows"
        " nothing. Add one on accuracy or accuracy_drop."
    )
