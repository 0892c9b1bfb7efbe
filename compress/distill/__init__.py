"""Training: what a student learns from, whom it learns from, and the loop.

Read `train` first. `losses` holds the mathematics, `teachers` whom one can learn from, `teacher_cache` what makes that
cheap, `views` what both networks see.
"""

from compress.distill.answers import ask_teachers
from compress.distill.device import Device, choose_device
from compress.distill.distillation import Distillation
from compress.distill.features import FeatureMatch
from compress.distill.losses import (
    DIST,
    DKD,
    AttentionTransfer,
    Hint,
    LogitRegression,
    RelationalAngle,
    RelationalDistance,
    SoftTargets,
)
from compress.distill.schedule import Schedule
from compress.distill.teacher_cache import CacheCheck, CacheKey, TeacherCache
from compress.distill.teachers import (
    ModuleTeacher,
    Normalized,
    ProbabilityTeacher,
    Teacher,
    identify,
    logits_of,
    unwrapped,
)
from compress.distill.train import train
from compress.distill.transfer import TransferSet
from compress.distill.views import Augment, View
from compress.distill.watch import Epoch
from compress.distill.weights import load_weights
from compress.distill.world import World, is_follower, open_world, world_size

__all__ = [
    "DIST",
    "DKD",
    "AttentionTransfer",
    "Augment",
    "CacheCheck",
    "CacheKey",
    "Device",
    "Distillation",
    "Epoch",
    "FeatureMatch",
    "Hint",
    "LogitRegression",
    "ModuleTeacher",
    "Normalized",
    "ProbabilityTeacher",
    "RelationalAngle",
    "RelationalDistance",
    "Schedule",
    "SoftTargets",
    "Teacher",
    "TeacherCache",
    "TransferSet",
    "View",
    "World",
    "ask_teachers",
    "choose_device",
    "identify",
    "is_follower",
    "load_weights",
    "logits_of",
    "open_world",
    "train",
    "unwrapped",
    "world_size",
]
