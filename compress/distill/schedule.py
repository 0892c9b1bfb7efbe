"""How long and how fast to train."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from compress.distill.device import Precision
from compress.distill.views import Augment
from compress.errors import DataError

_EXPECTED = {
    "epochs": "at least 1",
    "batch_size": "at least 1",
    "learning_rate": "a number above 0",
    "optimizer": "sgd or adamw",
    "views": "at least 0",
    "warmup_fraction": "at least 0 and below 1",
    "momentum": "at least 0 and below 1",
    "ema_decay": "None, or between 0 and 1",
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How weights move; the learning rate climbs linearly to its peak and falls to zero.

    batch_size: samples per step, of all processes together.
    learning_rate: the peak.
    optimizer: sgd with Nesterov momentum, for convolutions; adamw (Loshchilov & Hutter 2019), for transformers.
    weight_decay: of weights alone; biases, batch norms and layer norms have none.
    momentum: Nesterov's, or AdamW's first beta; its second is 0.999.
    warmup_fraction: share of the steps in which the learning rate climbs.
    decay: how it falls: in a straight line, or as half a cosine (Loshchilov & Hutter 2017).
    views: each sample is seen in this many views, epoch e in view e modulo views; 0 for a new view every epoch.
    ema_decay: the weights that count are an exponential moving average over the steps with this decay; None: the last.
    precision: of the forward passes, the teachers' too; weights, losses and updates are float32 always.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = 5e-4
    momentum: float = 0.9
    warmup_fraction: float = 0.2
    decay: Literal["linear", "cosine"] = "linear"
    label_smoothing: float = 0.0
    views: int = 0
    augment: Augment | None = None
    ema_decay: float | None = None
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        faults = {
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 1,
            "learning_rate": self.learning_rate > 0,
            "optimizer": self.optimizer in ("sgd", "adamw"),
            "views": self.views >= 0,
            "warmup_fraction": 0 <= self.warmup_fraction < 1,
            "momentum": 0 <= self.momentum < 1,
            "ema_decay": self.ema_decay is None or 0 < self.ema_decay < 1,
        }
        for field, is_right in faults.items():
            if not is_right:
                raise DataError(f"train: {field} is {getattr(self, field)}; expected {_EXPECTED[field]}; correct it")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step of `steps`."""
        warmup = self.warmup_fraction * steps
        if step < warmup:
            return self.learning_rate * (step + 1) / (warmup + 1)
        left = (steps - step) / (steps - warmup)
        return self.learning_rate * (left if self.decay == "linear" else (1 - math.cos(math.pi * left)) / 2)

    def view_of(self, epoch: int) -> int:
        """The index of the view that an epoch shows."""
        if self.augment is None:
            return 0
        return epoch % self.views if self.views else epoch

    def all_views(self) -> tuple[int, ...]:
        """The views that the whole training shows."""
        return tuple(sorted({self.view_of(epoch) for epoch in range(self.epochs)}))

    def make_optimizer(self, model: nn.Module) -> Optimizer:
        """What moves everything in the model that trains."""
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        groups = [
            {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        if self.optimizer == "adamw":
            return AdamW(groups, self.learning_rate, betas=(self.momentum, 0.999))
        return SGD(groups, self.learning_rate, momentum=self.momentum, nesterov=self.momentum > 0)
