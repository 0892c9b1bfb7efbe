"""Which figures the page shows, and what they show: from results to plain numbers for plots.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compress.report.layer_plot import Layer, draw_layers
from compress.report.lookup import Lookup, Subject
from compress.report.phone_plot import Forecast, draw_phones
from compress.report.phones import METRIC, list_forecasts
from compress.report.plots import Bar, Point, draw_latencies, draw_shares, draw_tradeoff, name_parts
from compress.report.sensitivity import split_layer
from compress.report.tables import printable
from compress.types import CALIBRATED, MOST_SQNR_DB
from compress.units import brief

_FEWEST_POINTS = 2
"""A trade-off of one point is no trade-off."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure with its caption; svg is empty where the caption says what is missing."""

    caption: str
    svg: str = ""


def tradeoff_drawings(lookup: Lookup) -> tuple[Drawing, ...]:
    """Accuracy against instructions, and against size."""
    core = lookup.favourite_core
    counted = [] if core is None else _points(lookup, "instructions", core, 1e6)
    if len(counted) >= _FEWEST_POINTS:
        label = f"million instructions on {core}, log scale"
        title = f"Accuracy against instructions on {core}"
        svg = draw_tradeoff(counted, "instructions", title, label, "accuracy on the test images")
        first = Drawing(caption=f"{title}. Left and high is good; the line is the Pareto front.", svg=svg)
    else:
        first = Drawing(caption="Accuracy against instructions needs two files with both; fewer were measured.")
    sized = _points(lookup, "size_bytes", None, 1e3)
    if len(sized) < _FEWEST_POINTS:
        return first, Drawing(caption="Accuracy against size needs two files with both; fewer were measured.")
    svg = draw_tradeoff(sized, "size", "Accuracy against size", "kB, log scale", "accuracy on the test images")
    caption = (
        "Accuracy against file size. Circles are .onnx files, squares .tflite, diamonds .ort; thin bars are 95 %"
        " intervals."
    )
    return first, Drawing(caption=caption, svg=svg)


def latency_drawing(lookup: Lookup) -> Drawing:
    """Distributions of the host latencies."""
    timed = [(subject, lookup.find(subject, "latency_ms")) for subject in lookup.subjects]
    samples = {_label(lookup, s): m.samples for s, m in timed if m is not None and m.samples}
    if not samples:
        return Drawing(caption="No latency samples were taken on the host.")
    precisions = {_label(lookup, s): s.artifact.precision for s, _ in timed}
    svg = draw_latencies(samples, precisions, "latency", "Latency on the host")
    return Drawing(
        caption="One tick is one inference; the box holds the middle half of them, the line is the median.",
        svg=svg,
    )


def mix_drawings(lookup: Lookup) -> tuple[Drawing, ...]:
    """Instructions by class on each core: the float32 teacher and the int8 student, a figure for each runtime."""
    by_runtime: dict[str, dict[str, Sequence[Bar]]] = {}
    for runtime in dict.fromkeys(subject.runtime for subject in lookup.subjects):
        counted = [s for s in lookup.subjects if s.runtime == runtime and _mix(lookup, s)]
        integer = (*CALIBRATED, "dynamic_int8")
        telling = [s for s in counted if s.artifact.role == "teacher" or s.artifact.precision in integer]
        groups = {printable(s.artifact.name): _mix(lookup, s) for s in (telling or counted)[:4]}
        if groups and runtime:
            by_runtime[runtime] = groups
    parts = name_parts(bar for groups in by_runtime.values() for bars in groups.values() for bar in bars)
    drawings: list[Drawing] = []
    for runtime, groups in by_runtime.items():
        svg = draw_shares(groups, f"mix-{len(drawings)}", f"Instructions by class under {runtime}", parts)
        caption = f"Instructions by class under {printable(runtime)}; at the end of a bar, their number."
        drawings.append(Drawing(caption=caption, svg=svg))
    return tuple(drawings) or (Drawing(caption="No instructions were counted by class."),)


def phone_drawings(lookup: Lookup) -> tuple[Drawing, ...]:
    """Predicted latencies on phones, and what they go to; nothing where none were predicted."""
    forecasts: dict[str, list[Forecast]] = {}
    bars: dict[str, list[Bar]] = {}
    for phone, files in list_forecasts(lookup).items():
        for artifact, m in files.items():
            name = printable(artifact.name)
            forecast = Forecast(
                name=name,
                precision=artifact.precision,
                ms=m.value,
                interval=m.interval or (m.value, m.value),
                limits=_list_limits(lookup, artifact.name, phone),
            )
            forecasts.setdefault(printable(phone), []).append(forecast)
            bar = Bar(name=name, total=brief(m.value, m.unit), parts=m.details["parts_ms"])
            bars.setdefault(printable(phone), []).append(bar)
    if not forecasts:
        return ()
    parts = name_parts(bar for group in bars.values() for bar in group)
    bound = any(each.limits for group in forecasts.values() for each in group)
    limits = ", a dark line across it a budget's limit" if bound else ""
    return (
        Drawing(
            caption=f"A mark is a prediction, the bar its interval{limits}.",
            svg=draw_phones(forecasts, "phones", "Predicted latency on phones"),
        ),
        Drawing(
            caption="Where the time goes; at the end of a bar, the prediction.",
            svg=draw_shares(bars, "phone-parts", "Where the time on phones goes", parts),
        ),
    )


def _list_limits(lookup: Lookup, artifact: str, phone: str) -> tuple[float, ...]:
    """In milliseconds, of the budgets that bind a file on a phone."""
    return tuple(
        verdict.limit
        for verdict in lookup.results.verdicts
        if (verdict.artifact, verdict.budget.target, verdict.budget.metric) == (artifact, phone, METRIC)
        and verdict.budget.relative_to is None
    )


def bytes_drawing(lookup: Lookup) -> Drawing:
    """What the bytes of each file are."""
    files = dict.fromkeys(subject.artifact for subject in lookup.subjects)
    bars = []
    for artifact in files:
        parts = lookup.results.audits.get(artifact.sha256, {}).get("bytes", {})
        if sum(parts.values()) > 0:
            bars.append(Bar(name=printable(artifact.name), total=brief(artifact.size_bytes, "bytes"), parts=parts))
    if not bars:
        return Drawing(caption="No file was audited by part.")
    svg = draw_shares({"": bars}, "bytes", "Bytes of each file by part", name_parts(bars))
    return Drawing(caption="What the bytes of each file are; at the end of a bar, its size.", svg=svg)


def layer_drawing(lookup: Lookup) -> Drawing:
    """What rounding each layer alone costs, over its place in the network."""
    found = lookup.results.provenance.get("sensitivity") or {"layers": ()}
    layers = [
        Layer(
            name=split_layer(each["layer"])[0],
            position=position,
            sqnr_db=each["sqnr_db"],
            weighted=each["parameters"] > 0,
        )
        for position, each in enumerate(found["layers"], start=1)
        if each["sqnr_db"] < MOST_SQNR_DB  # what changes nothing would be far above the rest
    ]
    if not layers:
        return Drawing(caption="No layer was rounded alone.")
    svg = draw_layers(layers, found["whole"]["sqnr_db"], "layers", "What rounding each layer alone costs")
    return Drawing(caption="Each layer rounded to int8 alone; low is dear. What changes nothing is left out.", svg=svg)


def _points(lookup: Lookup, metric: str, target: str | None, unit: float) -> list[Point]:
    points = []
    for subject in lookup.subjects:
        accuracy, cost = lookup.find(subject, "accuracy"), lookup.find(subject, metric, target)
        if accuracy is not None and cost is not None and cost.value > 0:
            points.append(
                Point(
                    name=_label(lookup, subject),
                    cost=cost.value / unit,
                    accuracy=accuracy.value,
                    interval=accuracy.interval,
                    precision=subject.artifact.precision,
                    format=subject.artifact.format,
                )
            )
    return points


def _mix(lookup: Lookup, subject: Subject) -> Sequence[Bar]:
    bars = []
    for core in lookup.cores:
        counted = lookup.find(subject, "instructions", core)
        if counted is not None and counted.details.get("by_class"):
            bars.append(Bar(name=core, total=brief(counted.value, "count"), parts=counted.details["by_class"]))
    return bars


def _label(lookup: Lookup, subject: Subject) -> str:
    """The artifact's name, with the runtime where several ran it."""
    alone = sum(other.artifact == subject.artifact for other in lookup.subjects) == 1
    return printable(subject.artifact.name if alone else f"{subject.artifact.name} {subject.runtime}")
