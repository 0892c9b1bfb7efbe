"""The part of attention without weights, its products written out: exporters and quantisation need the operators."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Each head's values, averaged with weights softmax(query . key / sqrt(width of a head)) (Vaswani et al. 2017).

    Args:
        query: (batch, tokens, width); width is a multiple of heads.
        key: likewise.
        value: likewise.
        heads: number of heads, which share the width.

    Returns:
        (batch, tokens, width).
    """
    scale = 1.0 / math.sqrt(query.shape[2] // heads)
    queries, keys, values = (each.unflatten(2, (heads, -1)).transpose(1, 2) for each in (query, key, value))
    weights = torch.softmax(queries * scale @ keys.transpose(2, 3), dim=3)
    return (weights @ values).transpose(1, 2).flatten(2)
