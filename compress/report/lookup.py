"""Finding a number in results: by artifact, runtime, target and metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from compress.types import CALIBRATED, Artifact, Measurement, Results

SHIPPED_FORMATS = ("onnx", "tflite", "ort")
FAVOURITE_CORE = "cortex-a76"
"""The core that plots and the headline speak of: the big core of most phones in use."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model file under one runtime: a row of the results; runtime is None where nothing ran it."""

    artifact: Artifact
    runtime: str | None


@dataclass(frozen=True)
class Lookup:
    """Questions that every report asks of one `Results`."""

    results: Results

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """Model files in the order of the results, one for each runtime that measured them here.

        What a device measured is no row beside these, nor what an older runtime made of a file: their runtimes are
        others. report/devices.py and report/fidelity.py have it.
        """
        found: list[Subject] = []
        for artifact in self.results.artifacts:
            if artifact.format not in SHIPPED_FORMATS:
                continue
            of_it = (m for m in self.results.measurements if m.artifact == artifact.sha256)
            measured = (m for m in of_it if m.metric != "compatible")
            here = (m for m in measured if m.how == "emulated" or (m.how != "static" and m.target == "host"))
            runtimes = dict.fromkeys(m.runtime for m in here)
            found += [Subject(artifact=artifact, runtime=runtime) for runtime in runtimes or [None]]
        return tuple(found)

    @cached_property
    def cores(self) -> tuple[str, ...]:
        """Emulated targets with instruction counts, by name."""
        return tuple(sorted({m.target for m in self.results.measurements if m.metric == "instructions"}))

    @cached_property
    def favourite_core(self) -> str | None:
        """cortex-a76 if it was measured, else the first core, None without any."""
        return FAVOURITE_CORE if FAVOURITE_CORE in self.cores else next(iter(self.cores), None)

    def find(self, subject: Subject, metric: str, target: str | None = None) -> Measurement | None:
        """The measurement of a subject; target None: on the host or static."""
        for m in self.results.measurements:
            if m.artifact != subject.artifact.sha256 or m.metric != metric:
                continue
            at_home = target is None and (m.how == "static" or (m.target == "host" and m.runtime == subject.runtime))
            if at_home or (m.target == target and m.runtime == subject.runtime):
                return m
        return None

    def baseline(self, subject: Subject) -> Subject | None:
        """The float32 teacher in the same format under the same runtime; None for the teacher itself."""
        if subject.artifact.role == "teacher":
            return None
        for other in self.subjects:
            same = (other.artifact.format, other.runtime) == (subject.artifact.format, subject.runtime)
            if same and other.artifact.role == "teacher" and other.artifact.precision == "float32":
                return other
        return None

    def gain(self, subject: Subject, metric: str, target: str | None = None) -> float | None:
        """How many times less than the baseline; None where either is unknown or not above 0.

        Of a latency the recorded speed-up, which compares round by round.
        """
        baseline = self.baseline(subject)
        if baseline is None:
            return None
        if metric == "size_bytes":
            return baseline.artifact.size_bytes / subject.artifact.size_bytes if subject.artifact.size_bytes else None
        mine, its = self.find(subject, metric, target), self.find(baseline, metric, target)
        if mine is None or its is None or mine.value <= 0 or its.value <= 0:
            return None
        recorded = mine.details.get("speedup", {})
        return recorded["value"] if recorded.get("reference") == its.artifact else its.value / mine.value

    def showpiece(self) -> Subject | None:
        """The student that the headline speaks of: int8 before float, tflite before onnx, the smaller first."""
        ours = [s for s in self.subjects if s.artifact.role != "teacher"]
        ours = [s for s in ours if s.artifact.role != "student_alone"] or ours
        return min(
            ours,
            key=lambda s: (
                s.artifact.precision not in (*CALIBRATED, "dynamic_int8"),
                s.artifact.format != "tflite",
                s.artifact.size_bytes,
                s.artifact.name,
                s.runtime or "",
            ),
            default=None,
        )
