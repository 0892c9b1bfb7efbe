"""The tables a reader comes for: budgets, results, latency, what the teacher was worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compress.report.cells import figure_cell, name_cell
from compress.report.headline import compare
from compress.report.lookup import Lookup, Subject
from compress.report.tables import NOTHING, Cell, Column, Table, Tone, cell
from compress.types import METRICS, Budget, Measurement, Verdict
from compress.units import brief, decimals, exact, times

_TONES: dict[str, Tone] = {"PASS": "pass", "FAIL": "fail", "MISSING": "missing"}


def budget_table(verdicts: Sequence[Verdict]) -> Table:
    """One row a verdict; what blocks comes first."""
    columns = (
        Column(key="status", title="Verdict", numeric=False),
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="budget", title="Budget", numeric=False),
        Column(key="value", title="Value"),
        Column(key="limit", title="Limit"),
        Column(key="excess", title="Excess"),
        Column(key="reason", title="Reason", numeric=False),
    )
    ordered = sorted(verdicts, key=lambda v: v.status == "PASS")
    return Table(
        columns=columns,
        rows=tuple(_budget_row(verdict) for verdict in ordered),
        missing="The recipe sets no budgets, so there is no verdict.",
    )


def results_table(lookup: Lookup) -> Table:
    """One row a model file and runtime: size, accuracy, host latency, instructions on each core."""
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="size", title="Size"),
        Column(key="accuracy", title="Accuracy"),
        Column(key="drop", title="Drop"),
        Column(key="macro_f1", title="Macro F1"),
        Column(key="latency", title="Latency p50"),
        *(Column(key=core, title=f"Instructions {core}") for core in lookup.cores),
    )
    measured = [m for m in lookup.results.measurements if m.target == "host"]
    notes = [
        _sizes_of_samples(
            "Accuracy, drop and macro F1 of the model files, on the host", measured, "accuracy", "images"
        ),
        "Drop is against the teacher in the same format, image by image. Small print: 95 % intervals, and gains.",
        _sizes_of_samples("Latency of one inference on the host", measured, "latency_ms", "inferences"),
    ]
    if lookup.cores:
        notes.append("Instructions of one inference, counted in emulation; a count, not a time.")
    return Table(
        columns=columns,
        rows=tuple(_results_row(lookup, subject) for subject in lookup.subjects),
        notes=tuple(note for note in notes if note),
        missing="This run made no model file.",
    )


def latency_table(lookup: Lookup) -> Table:
    """Percentiles of the host latencies, with the interval of the median, and how much faster that is."""
    columns = (
        Column(key="artifact", title="Artifact", numeric=False),
        Column(key="p50", title="p50"),
        Column(key="p90", title="p90"),
        Column(key="p99", title="p99"),
        Column(key="speedup", title="Speed-up"),
    )
    rows, sizes = [], set()
    for subject in lookup.subjects:
        timed = lookup.find(subject, "latency_ms")
        if timed is not None:
            percentiles = (percentile_cell(timed, "p90"), percentile_cell(timed, "p99"))
            rows.append((name_cell(subject), figure_cell(timed), *percentiles, speedup_cell(timed)))
            sizes.add(describe_samples(timed))
    notes = (
        f"{' or '.join(sorted(sizes))}. Speed-up is against the teacher, round by round, as they take turns. Small"
        " print: 95 % intervals, from the spread between rounds; inferences of one round resemble each other.",
    )
    return Table(columns=columns, rows=tuple(rows), notes=notes, missing="No latency was measured on the host.")


def teacher_table(lookup: Lookup) -> Table:
    """Everything that was trained, as torch models."""
    columns = (
        Column(key="model", title="Model", numeric=False),
        Column(key="parameters", title="Parameters"),
        Column(key="accuracy", title="Accuracy"),
        Column(key="macro_f1", title="Macro F1"),
        Column(key="accuracy_drop", title="Drop"),
        Column(key="agreement", title="Same class as the teacher"),
        Column(key="gap_recovered", title="Gap recovered"),
        Column(key="n", title="n"),
    )
    rows = []
    for role in _trained_roles(lookup):
        found = _torch_figures(lookup, role)
        title = "student, without a teacher" if role == "student_alone" else role.replace("_", " ")
        if "accuracy" in found:
            figures = [figure_cell(found.get(column.key)) for column in columns[1:-1]]
            rows.append((cell(title), *figures, cell(f"{found['accuracy'].n:,}")))
    return Table(
        columns=columns,
        rows=tuple(rows),
        missing="The models were not scored in torch.",
    )


def _budget_row(verdict: Verdict) -> tuple[Cell, ...]:
    budget, value, excess = verdict.budget, verdict.value, verdict.excess
    unit = "ratio" if budget.relative_to is not None else METRICS.get(budget.metric, "")
    # As in the verdict's reason: enough decimals to tell the value from the limit.
    digits = decimals(unit, (value or 0.0) - verdict.limit, verdict.limit, excess or 0.0)
    written = [NOTHING if x is None else cell(exact(x, unit, digits)) for x in (value, verdict.limit)]
    return (
        cell(verdict.status, tone=_TONES.get(verdict.status, "fail")),
        cell(verdict.artifact),
        cell(f"{budget.metric} {'≤' if budget.at_most is not None else '≥'}", conditions(budget)),
        *written,
        cell(exact(excess, unit, digits)) if excess else NOTHING,
        cell(verdict.reason),
    )


def conditions(budget: Budget) -> str:
    """What a limit is about beside its metric: `on cortex-a76, relative to teacher-float32.*`."""
    parts = [f"on {budget.target}"] if budget.target else []
    parts += [f"under {budget.runtime}"] if budget.runtime else []
    parts += [f"relative to {budget.relative_to}"] if budget.relative_to else []
    parts += ["judged by the interval"] if budget.judge == "interval" else []
    return ", ".join(parts)


def _results_row(lookup: Lookup, subject: Subject) -> tuple[Cell, ...]:
    latency = lookup.find(subject, "latency_ms")
    smaller = lookup.gain(subject, "size_bytes")
    return (
        name_cell(subject),
        cell(brief(subject.artifact.size_bytes, "bytes"), compare(smaller, "smaller", "larger") if smaller else ""),
        figure_cell(lookup.find(subject, "accuracy")),
        figure_cell(lookup.find(subject, "accuracy_drop")),
        figure_cell(lookup.find(subject, "macro_f1")),
        _latency(lookup, subject, latency),
        *(_instructions(lookup, subject, core) for core in lookup.cores),
    )


def percentile_cell(measurement: Measurement, name: str) -> Cell:
    """A percentile of a latency, such as `p90`, where it is known."""
    value = measurement.details.get(name)
    return cell(brief(value, measurement.unit)) if isinstance(value, int | float) else NOTHING


def speedup_cell(measurement: Measurement) -> Cell:
    """How many times as fast as the teacher in the same place, with the interval."""
    found = measurement.details.get("speedup")
    if not found:
        return NOTHING
    return cell(times(found["value"]), " to ".join(times(end) for end in found["interval"] or ()))


def describe_samples(measurement: Measurement) -> str:
    """`n = 150 inferences in 5 rounds, 1 thread`."""
    parts = [f"n = {measurement.n:,} inferences"]
    rounds, threads = (measurement.details.get(key) for key in ("rounds", "threads"))
    if rounds is not None:
        parts[0] += f" in {rounds} round" + ("s" if rounds != 1 else "")
    if threads is not None:
        parts.append(f"{threads} thread" + ("s" if threads != 1 else ""))
    return ", ".join(parts)


def _latency(lookup: Lookup, subject: Subject, latency: Measurement | None) -> Cell:
    if latency is None:
        return NOTHING
    gain = lookup.gain(subject, "latency_ms")
    return cell(brief(latency.value, latency.unit), compare(gain, "faster", "slower") if gain else "")


def _instructions(lookup: Lookup, subject: Subject, core: str) -> Cell:
    counted = lookup.find(subject, "instructions", core)
    if counted is None:
        return NOTHING
    gain = lookup.gain(subject, "instructions", core)
    return cell(brief(counted.value, counted.unit), compare(gain, "fewer", "more") if gain else "")


def _trained_roles(lookup: Lookup) -> list[str]:
    """Teachers first, then students."""
    roles = dict.fromkeys(artifact.role for artifact in lookup.results.artifacts if artifact.format == "safetensors")
    return sorted(roles, key=lambda role: (not role.startswith("teacher"), role))


def _torch_figures(lookup: Lookup, role: str) -> dict[str, Measurement]:
    """Metric -> measurement of the role's weights in torch, and of its parameters."""
    of_role = {a.sha256 for a in lookup.results.artifacts if a.role == role}
    found: dict[str, Measurement] = {}
    for m in lookup.results.measurements:
        if m.artifact in of_role and (m.runtime.startswith("torch") or m.metric == "parameters"):
            found.setdefault(m.metric, m)
    return found


def _sizes_of_samples(what: str, measurements: Iterable[Measurement], metric: str, unit: str) -> str:
    sizes = sorted({m.n for m in measurements if m.metric == metric and not m.runtime.startswith("torch")})
    return f"{what}: n = {' or '.join(f'{n:,}' for n in sizes)} {unit}." if sizes else ""
