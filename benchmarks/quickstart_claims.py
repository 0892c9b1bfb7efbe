"""What the quickstart must show, read from its results.json alone: found beside asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from compress.types import Measurement, Results

CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")
Row = tuple[str, float, str, float]
"""Claim, found, `>=` or `<=`, asked."""


class Figures:
    """Looks measurements up by artifact name."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._names = {artifact.name: artifact.sha256 for artifact in results.artifacts}

    def find(self, name: str, metric: str, target: str = "host", **details: object) -> Measurement:
        """The one measurement of an artifact that fits."""
        (found,) = (
            m
            for m in self._results.measurements
            if (m.artifact, m.metric, m.target) == (self._names[name], metric, target)
            and all(m.details.get(key) == value for key, value in details.items())
        )
        return found

    def value(self, name: str, metric: str, target: str = "host", **details: object) -> float:
        """Its value."""
        return self.find(name, metric, target, **details).value


def claims(figures: Figures) -> Iterator[Row]:
    """Every claim with what was found."""
    for fmt in ("onnx", "tflite"):
        yield f"teacher-float32.{fmt}: test accuracy", figures.value(f"teacher-float32.{fmt}", "accuracy"), ">=", 0.925
        yield (
            f"student-int8.{fmt}: drop against the teacher",
            figures.value(f"student-int8.{fmt}", "accuracy_drop"),
            "<=",
            0.02,
        )
        for role in ("teacher", "student"):
            difference = figures.value(f"{role}-float32.{fmt}", "max_abs_difference", compared_with="torch")
            yield f"{role}-float32.{fmt}: largest difference to torch", difference, "<=", 1e-4
    teacher, student = "teacher-float32.tflite", "student-int8.tflite"
    sizes = figures.value(teacher, "size_bytes") / figures.value(student, "size_bytes")
    yield "int8 .tflite: times smaller than the teacher's", sizes, ">=", 20
    counts = [figures.value(name, "instructions", "cortex-a76") for name in (teacher, student)]
    yield "int8 .tflite: times fewer instructions on cortex-a76", counts[0] / counts[1], ">=", 15
    yield "int8 .tflite: share of int8 operators", figures.value(student, "int8_op_share"), ">=", 1
    yield "int8 .onnx and .tflite: same class", figures.value("student-int8.onnx", "agreement"), ">=", 0.995
    for core in CORES:
        exact = figures.find(student, "bit_exact", core)
        yield f"int8 .tflite on {core}: outputs equal the host's", exact.value, ">=", 1
        yield f"int8 .tflite on {core}: images compared", exact.n, ">=", 256
        yield f"int8 .tflite on {core}: distinct output values", exact.details["distinct_values"], ">=", 100


def main() -> int:
    """Print the table; 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of a finished quickstart run")
    results = Results.load(parser.parse_args().folder / "results.json")
    failed = 0
    for claim, found, sign, asked in claims(Figures(results)):
        holds = found >= asked if sign == ">=" else found <= asked
        failed += not holds
        print(f"{'holds' if holds else 'FAILS':<6} {claim:<52} {found:>12.6g}  asked {sign} {asked:g}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
