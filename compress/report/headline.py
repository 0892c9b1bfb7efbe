"""The first thing a reader sees: the verdict, and one sentence about what was gained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from compress.report.lookup import Lookup, Subject
from compress.report.tables import Tone, printable
from compress.report.warnings import find_warnings
from compress.types import Results, Verdict
from compress.units import brief, times


@dataclass(frozen=True, kw_only=True)
class Headline:
    """word: PASS, FAIL or NO VERDICT; tally: of the budgets; gain: one sentence, empty without a student.

    warnings: why the word alone may mislead, one sentence each.
    """

    word: str
    tone: Tone
    tally: str
    gain: str
    warnings: tuple[str, ...]


def headline(results: Results) -> Headline:
    """What the page, the comment and the terminal open with."""
    word, tone, tally = tally_verdicts(results.verdicts)
    gain = printable(_gain(Lookup(results)))
    return Headline(word=word, tone=tone, tally=tally, gain=gain, warnings=find_warnings(results))


def tally_verdicts(verdicts: Sequence[Verdict]) -> tuple[str, Tone, str]:
    """The word, its tone, and how many limits are kept."""
    counts = Counter(verdict.status for verdict in verdicts)
    total = len(verdicts)
    if not total:
        return "NO VERDICT", "missing", "The recipe sets no budgets, so nothing was judged."
    if counts["PASS"] == total:
        return "PASS", "pass", "The one limit is kept." if total == 1 else f"All {total} limits are kept."
    failed = total - counts["PASS"] - counts["MISSING"]
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{counts['MISSING']} missing"] if counts["MISSING"] else []
    return "FAIL", "fail", f"Of {total} limits, {counts['PASS']} kept, {', '.join(parts)}."


def compare(ratio: float, better: str, worse: str) -> str:
    """`54.2× smaller`, or `1.15× larger` where the gain is a loss."""
    return f"{times(ratio)} {better}" if ratio >= 1 else f"{times(1 / ratio)} {worse}"


def points(drop: float) -> str:
    """An accuracy drop as what became of the accuracy: `−1.7 points`."""
    change = round(-100 * drop, 1) + 0.0
    return f"{'−' if change < 0 else '+' if change > 0 else '±'}{abs(change):.1f} points"


def _gain(lookup: Lookup) -> str:
    subject = lookup.showpiece()
    if subject is None:
        return ""
    baseline = lookup.baseline(subject)
    accuracy = _accuracy(lookup, subject)
    if baseline is not None and baseline.artifact.sha256 == subject.artifact.sha256:
        return f"{subject.artifact.name}: {accuracy and f'{accuracy}, '}byte for byte {baseline.artifact.name}."
    parts = [part for part in (accuracy, *_savings(lookup, subject)) if part]
    than = " than the teacher" if baseline is not None else ""
    return f"{subject.artifact.name}: {', '.join(parts)}{than}."


def _accuracy(lookup: Lookup, subject: Subject) -> str:
    accuracy = lookup.find(subject, "accuracy")
    if accuracy is None:
        return ""
    drop = lookup.find(subject, "accuracy_drop")
    change = f" ({points(drop.value)})" if drop else ""
    return f"{brief(accuracy.value, accuracy.unit)} accuracy{change}"


def _savings(lookup: Lookup, subject: Subject) -> list[str]:
    size = lookup.gain(subject, "size_bytes")
    parts = [compare(size, "smaller", "larger") if size else brief(subject.artifact.size_bytes, "bytes")]
    core = lookup.favourite_core
    counted = lookup.find(subject, "instructions", core) if core else None
    if counted and core:
        fewer = lookup.gain(subject, "instructions", core)
        count = compare(fewer, "fewer instructions", "more instructions") if fewer else ""
        parts.append(f"{count or brief(counted.value, 'count') + ' instructions'} on {core}")
        return parts
    faster = lookup.gain(subject, "latency_ms")
    if faster:
        parts.append(f"{compare(faster, 'faster', 'slower')} on this host")
    return parts
