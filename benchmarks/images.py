"""The images, networks and trainings that the scripts about image classifiers share.

20,000 images of Fashion-MNIST are learnt, so that a small student has a gap to its teacher that a teacher can close. A
finished training leaves its checkpoint below the project's home, and training with nothing left to do hands the same
weights out again: so every teacher is trained once per seed, whoever asks for it, and asked once per view.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from importlib.metadata import version

import torch
from torch import Tensor, nn

from compress.distill import (
    Augment,
    Distillation,
    ModuleTeacher,
    Schedule,
    Teacher,
    TransferSet,
    choose_device,
    identify,
    logits_of,
    train,
)
from compress.home import default_home
from compress.models.mobile import mobile_cnn
from compress.models.resnet import resnet
from compress.models.vit import vit
from compress.store import code_version, stage_key
from compress.tasks import Split, Task
from compress.tasks.fashion_mnist import fashion_mnist

KEPT = default_home() / "benchmarks" / "images"
ANSWERS = KEPT / "answers"
IMAGES = 20_000

FLIP = Augment(pad=1, flip=True)
TEACHER = Schedule(epochs=12, batch_size=64, learning_rate=0.08, augment=FLIP, weight_decay=5e-4)
STUDENT = Schedule(epochs=12, batch_size=128, learning_rate=0.2, augment=FLIP, weight_decay=1e-4)
"""New views in every epoch, for students on labels too: fewer would spare the teacher questions, and them nothing."""


@functools.cache
def load_task(quick: bool) -> Task:
    """20,000 images to learn; two batches where it is to be quick."""
    if quick:
        return fashion_mnist(home=default_home(), train=256, test=200, calibration=50, validation=100)
    return fashion_mnist(home=default_home(), train=IMAGES)


def shorten(schedule: Schedule, quick: bool) -> Schedule:
    """The schedule, or one epoch of it."""
    return dataclasses.replace(schedule, epochs=1) if quick else schedule


def small_mobile() -> nn.Module:
    """A mobile CNN of 5,000 parameters."""
    return mobile_cnn(in_channels=1, classes=10, widths=(12, 24, 48, 48), strides=(2, 1, 2, 1))


def smooth_mobile() -> nn.Module:
    """The same without kinks: SiLU for ReLU6."""
    model = small_mobile()
    for block in list(model.modules()):
        for name, layer in block.named_children():
            if isinstance(layer, nn.ReLU6):
                setattr(block, name, nn.SiLU())
    return model


def mobile() -> nn.Module:
    """The quickstart's mobile CNN, of 32,000 parameters."""
    return mobile_cnn(in_channels=1, classes=10)


def residual() -> nn.Module:
    """A residual CNN of 170,000 parameters."""
    return resnet(in_channels=1, classes=10, widths=(24, 48, 96))


def large_residual() -> nn.Module:
    """A residual CNN of 310,000 parameters."""
    return resnet(in_channels=1, classes=10, widths=(32, 64, 128))


def transformer() -> nn.Module:
    """A vision transformer of 140,000 parameters that sees 16 patches."""
    return vit(in_channels=1, classes=10, image_size=28, patch_size=7, width=64, depth=4, heads=4, mlp_ratio=2)


def build(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """An untrained network with the initial weights of a seed."""
    torch.manual_seed(seed)
    return make()


def obtain(
    make: Callable[[], nn.Module],
    task: Task,
    schedule: Schedule,
    *,
    seed: int,
    number: int = 0,
    distillation: Distillation | None = None,
) -> nn.Module:
    """A trained network: trained now, or restored.

    Args:
        make: builds it.
        task: what it learns.
        schedule: how.
        seed: of everything random.
        number: tells networks of one kind apart; each starts from other weights.
        distillation: whom it learns from.
    """
    model = build(make, 1000 * number + seed)
    taught = distillation.describe() if distillation else ""
    settings = [identify(model), task.train.sha256, repr(schedule), seed, number, taught]
    code = code_version("compress.distill", *(f"compress.models.{name}" for name in ("mobile", "resnet", "vit")))
    identity = {"device": repr(choose_device()), "torch": version("torch")}
    key = stage_key("image network", settings, {}, code, identity)
    transfer = TransferSet.of_split(task.train)
    KEPT.mkdir(parents=True, exist_ok=True)
    train(
        model,
        transfer,
        task.validation,
        schedule,
        seed=seed,
        checkpoint=KEPT / f"{key}.pt",
        distillation=distillation,
    )
    return model


def taught_by(*models: nn.Module) -> tuple[Teacher, ...]:
    """Networks as teachers."""
    return tuple(ModuleTeacher(model=model) for model in models)


def logits(model: nn.Module, split: Split) -> Tensor:
    """(n, classes) of a split, on the CPU."""
    return logits_of(model, torch.from_numpy(split.images), choose_device()).cpu()


def accuracy(answers: Tensor, split: Split) -> float:
    """Share of a split's images whose largest answer (n, classes) is the right class."""
    return float((answers.argmax(1) == torch.from_numpy(split.labels)).float().mean())


def score(models: Sequence[nn.Module], task: Task) -> dict[str, float]:
    """Accuracy of a network, or of the mean probability of several, on validation (to choose) and test (to report)."""

    def share(split: Split) -> float:
        return accuracy(torch.stack([logits(model, split).softmax(1) for model in models]).mean(0), split)

    return {"validation": share(task.validation), "test": share(task.test)}
