"""Measure every artifact on each real device of the recipe.

A device's figures are its own or MISSING: where it is not reached, or drops in mid-run, nothing stands in for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from compress.errors import ModelError, ToolError
from compress.stages.context import Run
from compress.stages.export import Exported
from compress.stages.on_device import OnDevice
from compress.stages.over_adb import measure_over_adb
from compress.stages.over_ssh import measure_over_ssh


def measure_on_devices(run: Run, exported: Sequence[Exported]) -> tuple[tuple[OnDevice, ...], tuple[str, ...]]:
    """Latencies of every artifact on every device, and its outputs where they can be had.

    Returns:
        What was measured, and one sentence for each device, artifact or runtime that was not, or is not the host's.
    """
    results: list[OnDevice] = []
    notes: list[str] = []
    for config in run.recipe.benchmark.devices or ():
        try:
            measure = measure_over_ssh if config.ssh is not None else measure_over_adb
            found, told = measure(run, config, exported)
        except (ToolError, ModelError) as error:
            found, told = [], [f"{error}. Budgets on {config.name} are MISSING."]
        for note in told:
            run.progress.note(note)
        results += found
        notes += told
    return tuple(results), tuple(notes)
