"""Training: losses, views, the loop."""

from compress.distill.device import choose_device
from compress.distill.losses import distillation_loss, kd_loss
from compress.distill.train import Distillation, Epoch, Schedule, logits_of, predict, train
from compress.distill.views import Augment, make_view

__all__ = [
    "Augment",
    "Distillation",
    "Epoch",
    "Schedule",
    "choose_device",
    "distillation_loss",
    "kd_loss",
    "logits_of",
    "make_view",
    "predict",
    "train",
]
