"""What rounding each layer of the student alone costs: where the accuracy of int8 goes. No label is needed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from compress.progress import Stage
from compress.quantize import StaticInt8, measure_sensitivity, measure_whole, prepare
from compress.recipe import QuantizeConfig
from compress.stages.context import Run, Step, execute_step
from compress.stages.schemes import read_static_scheme
from compress.stages.trained import Trained
from compress.types import CALIBRATED, MOST_SQNR_DB, Json

IMAGES = 32
"""Of the calibration split: enough for the order of the layers (compress.quantize.measure_sensitivity)."""


def measure_layers(run: Run, student: Trained, entries: Sequence[QuantizeConfig]) -> Json:
    """The student as int8, before repairs of its integers and before any training for int8.

    Args:
        run: the run.
        student: trained in float.
        entries: of the recipe, with what was chosen for `auto` in its place.

    Returns:
        None where the recipe makes no int8 of it after calibration, else a JSON-able table: `images`, `whole` with
        sqnr_db and agreement of all roundings together, and `layers`, in graph order, with those of
        compress.quantize.Sensitivity. An sqnr_db is within ±MOST_SQNR_DB, as in measurements.
    """
    entry = next((entry for entry in entries if entry.scheme in CALIBRATED), None)
    if entry is None:
        return None
    scheme = dataclasses.replace(read_static_scheme(entry), rounding=None, bias_correction=None)
    step = Step(
        name="sensitivity",
        title="round the student layer by layer",
        config={"model": student.describe(), "scheme": dataclasses.asdict(scheme), "images": IMAGES},
        inputs={"student": student.sha256, "calibration": run.task.calibration.sha256},
        code=("compress.quantize", __name__, "compress.stages.trained", student.call.module),
        libraries=("torch",),
    )

    def make(folder: Path, _: Stage) -> None:
        (folder / "sensitivity.json").write_text(json.dumps(_measure(run, student, scheme), allow_nan=False))

    def summarize(folder: Path) -> str:
        found = json.loads((folder / "sensitivity.json").read_text())
        worst = min(found["layers"], key=lambda each: each["sqnr_db"], default=None)
        return f"most costs {worst['layer']}: {worst['sqnr_db']:.1f} dB alone" if worst else "no layer is rounded"

    return json.loads((execute_step(run, step, make, summarize).path / "sensitivity.json").read_text())


def _measure(run: Run, student: Trained, scheme: StaticInt8) -> Json:
    calibration = torch.from_numpy(run.task.calibration.images)
    trainable = prepare(student.load(run), calibration[:1], scheme, calibration)
    images = calibration[:IMAGES]
    sqnr_db, agreement = measure_whole(trainable, images)
    layers = [dataclasses.asdict(each) for each in measure_sensitivity(trainable, images)]
    return {
        "images": len(images),
        "whole": {"sqnr_db": _bounded(sqnr_db), "agreement": agreement},
        "layers": [{**each, "sqnr_db": _bounded(each["sqnr_db"])} for each in layers],
    }


def _bounded(sqnr_db: float) -> float:
    return max(-MOST_SQNR_DB, min(sqnr_db, MOST_SQNR_DB))
