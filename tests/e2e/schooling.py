"""Teachers, transfer sets and tasks that the learning tests name in recipes."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from compress.models.mobile import mobile_cnn
from compress.tasks import Split, Task
from compress.tasks.digits import digits

ASKED: list[int] = []
"""How many images each call of an ensemble was about."""


def forest(*, classes: int = 10):
    """A scikit-learn ensemble that has learnt the digits below `classes`."""
    train = digits().train
    kept = train.labels < classes
    model = RandomForestClassifier(10, random_state=0).fit(
        train.images[kept].reshape(kept.sum(), -1), train.labels[kept]
    )

    def predict(images: NDArray[np.float32]) -> NDArray[np.float64]:
        ASKED.append(len(images))
        return model.predict_proba(images.reshape(len(images), -1))

    return predict


def scores():
    """What many a classifier returns in place of probabilities."""
    return lambda images: np.ones((len(images), 10))


def guesses():
    """Probabilities that know nothing."""
    return lambda images: np.random.default_rng(0).dirichlet(np.ones(10), len(images))


def unlabelled() -> NDArray[np.float32]:
    return digits().train.images[:640]


def held_out() -> NDArray[np.float32]:
    return np.concatenate([digits().train.images[:64], digits().test.images[:3]])


def bytes_as_floats() -> NDArray[np.float32]:
    return digits().train.images * 255


def two_digits() -> Task:
    task = digits()

    def keep(split: Split) -> Split:
        kept = split.labels < 2
        return dataclasses.replace(split, images=split.images[kept], labels=split.labels[kept])

    splits = {split.name: keep(split) for split in task.splits()}
    return dataclasses.replace(task, name="two digits", classes=("0", "1"), **splits)


def five_classes(*, in_channels: int) -> nn.Module:
    return mobile_cnn(in_channels=in_channels, classes=5, widths=(8,), strides=(2,))


def flat(*, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(63, classes))


class _Lopsided(nn.Module):
    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        wide, high = nn.Conv2d(in_channels, 16, 3, stride=2, padding=1), nn.Conv2d(16, 64, 1)
        self.body = nn.Sequential(wide, nn.ReLU(), high, nn.ReLU(), nn.Flatten(), nn.Linear(1024, classes))
        self.register_buffer("shift", torch.tensor([0.0] * (classes - 1) + [-1000.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shift


def lopsided(*, in_channels: int, classes: int) -> nn.Module:
    """Never names the last class: int8 logits from -1000 up are multiples of 4, and most classes are alike."""
    return _Lopsided(in_channels, classes)


class _Tied(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second = nn.Linear(64, 64)
        self.second.weight = self.first.weight
        self.last = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.second(self.first(x.flatten(1)).relu()).relu())


def tied(*, classes: int) -> nn.Module:
    """Two layers share one weight."""
    return _Tied(classes)
