"""Losses: pure tensor functions (`logits`, `features`), and the nouns by which a recipe names them (`objectives`)."""

from compress.distill.losses.features import (
    attention_transfer_loss,
    hint_loss,
    rkd_angle_loss,
    rkd_distance_loss,
)
from compress.distill.losses.logits import (
    dist_loss,
    dkd_loss,
    kd_loss,
    logit_regression_loss,
    standardize_logits,
)
from compress.distill.losses.objectives import (
    DIST,
    DKD,
    AttentionTransfer,
    FeatureObjective,
    Hint,
    LogitObjective,
    LogitRegression,
    RelationalAngle,
    RelationalDistance,
    SoftTargets,
)

__all__ = [
    "DIST",
    "DKD",
    "AttentionTransfer",
    "FeatureObjective",
    "Hint",
    "LogitObjective",
    "LogitRegression",
    "RelationalAngle",
    "RelationalDistance",
    "SoftTargets",
    "attention_transfer_loss",
    "dist_loss",
    "dkd_loss",
    "hint_loss",
    "kd_loss",
    "logit_regression_loss",
    "rkd_angle_loss",
    "rkd_distance_loss",
    "standardize_logits",
]
