"""Two finished runs side by side: what changed, as far as the two can be compared at all.

- Artifacts go by name, measurements by artifact, metric, target, runtime (without its version) and what they are
  compared with. Sizes, counts and audits are exact: any difference is one.
- Accuracies are compared image by image where both runs kept which images of the same split were right.
- Latencies of different machines are not compared: a ratio of them would speak of the machines. Nor are those that two
  builds of a tool took: it is known by its content, and nobody can say what else differs. Nor are latencies of other
  numbers of threads, predicted or not.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from compress.errors import NoVerdictError
from compress.types import Json, Measurement, Results

PairedInterval = Callable[[int, int, int], tuple[float, float]]
"""(lost, gained, n) -> 95 % interval of (lost - gained) / n."""

_Key = tuple[str, str, str, str, str]
_LATENCY_FACTS: Mapping[str, tuple[str, ...]] = {
    "latency_ms": ("machine", "threads"),
    "predicted_latency_ms": ("threads",),
}
"""What must be the same in both runs."""


@dataclass(frozen=True, kw_only=True)
class ArtifactChange:
    """name: of a file in either run. change: `same` bytes or not."""

    name: str
    change: Literal["same", "changed", "only before", "only after"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One measurement in both runs.

    artifact: its name.
    difference: after minus before, in the measurement's unit.
    interval: 95 % interval of the difference, where one is known.
    lost, gained: images that only the run before, only the run after has right; None where that was not kept.
    """

    artifact: str
    before: Measurement
    after: Measurement
    difference: float
    interval: tuple[float, float] | None = None
    lost: int | None = None
    gained: int | None = None

    @property
    def told_apart(self) -> bool:
        """Whether the two differ, beyond chance where chance plays a part."""
        if self.interval is not None:
            return self.interval[0] > 0 or self.interval[1] < 0
        return self.difference != 0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What became of two runs.

    refused: one sentence for each kind of measurement that both have and that cannot be compared.
    unmatched: how many measurements only one of the runs has.
    """

    before: str
    after: str
    artifacts: tuple[ArtifactChange, ...]
    changes: tuple[Change, ...]
    refused: tuple[str, ...]
    unmatched: int


def compare_runs(before: Results, after: Results, paired_interval: PairedInterval) -> Comparison:
    """Hold two runs against each other.

    Args:
        before: the run that is compared with.
        after: the run whose changes are told.
        paired_interval: the statistics of a paired difference (`compress.measure.paired.paired_interval`).

    Raises:
        NoVerdictError: the runs have no comparable measurement in common.
    """
    ours, theirs = _by_key(before), _by_key(after)
    changes: list[Change] = []
    refused: dict[str, None] = {}
    for key in (key for key in ours if key in theirs):
        one, other = ours[key], theirs[key]
        why = _incomparable(before, after, one, other)
        if why:
            refused[why] = None
        else:
            changes.append(_change(key[0], one, other, paired_interval))
    if not changes:
        reasons = "; ".join(refused) or "no artifact and metric are measured in both"
        raise NoVerdictError(
            f"{before.name} and {after.name}: nothing to compare: {reasons}; expected two runs with files of the same"
            " names; compare two runs of one recipe"
        )
    return Comparison(
        before=before.name,
        after=after.name,
        artifacts=_artifacts(before, after),
        changes=tuple(changes),
        refused=tuple(refused),
        unmatched=len(set(ours) ^ set(theirs)),
    )


def _by_key(results: Results) -> Mapping[_Key, Measurement]:
    """What is known of each name: files of equal bytes are measured once."""
    found: dict[str, list[Measurement]] = {}
    for m in results.measurements:
        found.setdefault(m.artifact, []).append(m)
    return {
        (artifact.name, m.metric, m.target, m.runtime.split(" ")[0], str(m.details.get("compared_with", ""))): m
        for artifact in results.artifacts
        for m in found.get(artifact.sha256, ())
    }


def _artifacts(before: Results, after: Results) -> tuple[ArtifactChange, ...]:
    ours, theirs = ({a.name: a.sha256 for a in results.artifacts} for results in (before, after))
    changes = []
    for name in dict.fromkeys((*ours, *theirs)):
        change: Literal["same", "changed", "only before", "only after"] = "same"
        if name not in theirs:
            change = "only before"
        elif name not in ours:
            change = "only after"
        elif ours[name] != theirs[name]:
            change = "changed"
        changes.append(ArtifactChange(name=name, change=change))
    return tuple(changes)


def _incomparable(before: Results, after: Results, one: Measurement, other: Measurement) -> str | None:
    """Why two measurements of one thing cannot be compared; None if they can."""
    for fact in _LATENCY_FACTS.get(one.metric, ()):
        mine, its = one.details.get(fact), other.details.get(fact)
        if mine is None or mine != its:
            kind = "predicted latencies" if one.how == "predicted" else "latencies"
            return f"{kind} are not compared: {fact} is {_written(mine)} before and {_written(its)} after"
    if one.metric == "latency_ms" and "tool" in one.details and one.runtime != other.runtime:
        return f"latencies are not compared: {one.runtime} took them before, {other.runtime} after"
    if one.split is not None and (_split_hash(before, one.split), one.n) != (_split_hash(after, other.split), other.n):
        return f"{one.metric} of {one.target} is not compared: it comes from other images ({one.split}, n={one.n:,})"
    return None


def _change(name: str, one: Measurement, other: Measurement, paired_interval: PairedInterval) -> Change:
    difference = other.value - one.value
    if one.metric == "accuracy":
        right = [_right_images(m) for m in (one, other)]
        if right[0] is not None and right[1] is not None:
            lost, gained = (right[0] & ~right[1]).bit_count(), (right[1] & ~right[0]).bit_count()
            interval = paired_interval(gained, lost, one.n)
            return Change(
                artifact=name,
                before=one,
                after=other,
                difference=difference,
                interval=interval,
                lost=lost,
                gained=gained,
            )
    return Change(artifact=name, before=one, after=other, difference=difference, interval=_apart(one, other))


def _apart(one: Measurement, other: Measurement) -> tuple[float, float] | None:
    """Bounds of the difference from the two intervals, wider than an interval of the difference; None if exact."""
    if one.interval is None or other.interval is None:
        return None
    return other.interval[0] - one.interval[1], other.interval[1] - one.interval[0]


def _right_images(measurement: Measurement) -> int | None:
    """The bits of `correct_images` as one number."""
    kept = measurement.details.get("correct_images")
    return int.from_bytes(base64.b64decode(kept), "big") if isinstance(kept, str) else None


def _split_hash(results: Results, split: str | None) -> Json:
    task = results.provenance.get("task", {})
    return task.get("splits", {}).get(split, {}).get("sha256")


def _written(fact: Json) -> str:
    if isinstance(fact, dict):
        return ", ".join(str(value) for _, value in sorted(fact.items()))
    return "unknown" if fact is None else str(fact)
