"""Where a run's numbers come from: recipe, data, versions, seeds, learning curves, choices, what rounding did."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from compress import __version__
from compress.distill import choose_device, world_size
from compress.stages.context import Run
from compress.stages.export import Exported
from compress.stages.trained import Trained, describe_training
from compress.tasks import Task
from compress.types import Json

LIBRARIES = (
    "torch",
    "litert-torch",
    "litert-converter",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "numpy",
)


def provenance(
    run: Run, trained: Sequence[Trained], exported: Sequence[Exported], sensitivity: Json, choice: Json
) -> Json:
    """JSON-able; the same for the same recipe, data, versions and machine type."""
    return {
        "recipe": {
            "name": run.recipe.name,
            "path": str(run.recipe.path),
            "sha256": run.recipe.sha256,
            "text": run.recipe.text,
        },
        "seed": run.recipe.seed,
        "task": _describe_task(run.task),
        "versions": {
            "compress": __version__,
            "python": sys.version.split()[0],
            **{name: version(name) for name in LIBRARIES},
        },
        "machine": _describe_machine(),
        "training": [describe_training(each) for each in trained],
        "choice": choice,
        "sensitivity": sensitivity,
        "quantization": {each.artifact.name: each.quantization for each in exported if each.source is None},
    }


def _describe_task(task: Task) -> Json:
    return {
        "name": task.name,
        "source": task.source,
        "classes": list(task.classes),
        "splits": {
            split.name: {
                "images": len(split),
                "classes": len(np.unique(split.labels)),
                "sha256": split.sha256,
            }
            for split in task.splits()
        },
    }


def _describe_machine() -> Json:
    device = choose_device()
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "training": {
            "device": device.name,
            "bf16": device.bf16,
            "threads": device.threads,
            "processes": world_size(),
        },
    }
