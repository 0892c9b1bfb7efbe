"""A recipe as small as it can be, and the module `plugged` whose callables it names."""

TINY = """\
name: tiny
task: {call: "plugged:task"}
teacher:
  model: {call: "plugged:model", args: {width: 2}}
  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}
student:
  model: {call: "plugged:model", args: {width: 1}}
  train:
    epochs: 2
    batch_size: 8
    learning_rate: 1e-3
  distill: {temperature: 4, alpha: 0.9}
quantize: [float32, static_int8]
formats: [onnx, tflite]
budgets:
  - {metric: size_bytes, artifact: "student-int8.*", at_most: 0.05, relative_to: "teacher-float32.*"}
"""

PLUGGED = """\
from __future__ import annotations
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

LIMIT = 3

def task(*, home: Path, images: int = 10): return ("task", home, images)
def model(*, in_channels: int, classes: int, width: int): return ("model", in_channels, classes, width)
def bare(): return "bare"
def typed(*, whole: int = 1, number: float = 1.0, text: str = "", flag: bool = False,
          numbers: tuple[int, ...] = (), pair: tuple[int, str] = (1, "a"), rates: list[float] = [],
          names: Sequence[str] = (), mode: Literal["fast", "slow"] = "fast", maybe: float | None = None,
          either: int | tuple[int, int] = 1, anything=None, folder: Path = Path(), sizes: dict[str, int] = {}):
    return locals()
def greedy(first: int, **rest): return (first, rest)
def broken(): return 1 / 0
def by_position(x, /): return x
class Network:
    def __init__(self, width: int): self.width = width
def unresolvable(width: NotImportedAnywhere): return width
"""
