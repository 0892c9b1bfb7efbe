"""What a real device gives of one artifact, over ssh or over adb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compress.stages.export import Exported
from compress.types import Json


@dataclass(frozen=True, kw_only=True, eq=False)
class OnDevice:
    """One artifact on one device.

    runtime: there, name and version.
    outputs: raw outputs (n, classes) for the first n test images, in the file's stored type; None over adb.
    samples_ns: (rounds, inferences); over adb (rounds, 1), the mean of each round.
    inferences: of each round.
    details: threads, warm-up, machine, and what else a tool told.
    """

    device: str
    exported: Exported
    runtime: str
    outputs: NDArray[np.generic] | None
    samples_ns: ArrayLike
    inferences: tuple[int, ...]
    details: Mapping[str, Json]
