"""One factor of one device: how many times longer it takes than the model predicts, found by timing a few networks.

What the factor leaves over is the interval. Few networks are timed, so it is Student's, of one more network:

    factor = exp(mean of the logarithms),  spread = exp(t(0.95, networks - 1) * s * sqrt(1 + 1 / networks))

- s is that of the device's own residuals. A network's files, float32 and int8, are off together: they are one
  observation, whose square is the mean of theirs. What differs between the schemes thereby stays in s.
- With five networks t is 2.1 and not 1.6: what few residuals cannot exclude is within the interval.
- A conformal interval would need nine networks to promise 90 %; with fewer it is infinite.
- Another day's temperature and load are not in it: all networks are timed within a minute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from compress.strict_yaml import Part

FEWEST = 3
"""Networks: two leave one degree of freedom, and an interval that says nothing."""


class Calibration(Part):
    """What was found on a device, as it stands in a file of devices.

    device: its name. threads: that were measured, and that it is for.
    factor: milliseconds measured over predicted; spread: of what was left over, see the module's first lines.
    networks: how many were timed; classes, cycles: of their work, as in `model.Fitted`.
    runtime, there, date: with what, where and when.
    model: `model.identify` of what predicted: another model's error is another.
    """

    device: str
    threads: int = Field(ge=1)
    factor: float = Field(gt=0)
    spread: float = Field(ge=1)
    networks: int = Field(ge=FEWEST)
    classes: tuple[str, ...]
    cycles: tuple[float, float]
    runtime: str
    there: str
    date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    model: str


def fit_factor(ratios: Sequence[Sequence[float]], confidence: float) -> tuple[float, float]:
    """The factor and its spread.

    Args:
        ratios: measured over predicted: of each network, those of its files; at least FEWEST networks.
        confidence: share of further networks that the spread holds.
    """
    from scipy.special import stdtrit

    n = len(ratios)
    if n < FEWEST:
        raise ValueError(f"expected the ratios of at least {FEWEST} networks, got {n}")
    logs = [[math.log(ratio) for ratio in files] for files in ratios]
    mean = sum(sum(files) / len(files) for files in logs) / n
    squares = [sum((log - mean) ** 2 for log in files) / len(files) for files in logs]
    deviation = math.sqrt(sum(squares) / (n - 1))
    t = float(stdtrit(n - 1, (1 + confidence) / 2))
    return math.exp(mean), math.exp(t * deviation * math.sqrt(1 + 1 / n))
