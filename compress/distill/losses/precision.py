"""The number format of every loss.

Half precision is for the networks: squares of logits above 256 overflow float16, and a guard such as 1e-8 is 0 in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def in_float32(*tensors: Tensor) -> Iterator[list[Tensor]]:
    """The same tensors in float32 (float64 stays), with autocast off, which would multiply matrices in half precision.

    Args:
        tensors: any shapes and real types, on one device; at least one.

    Yields:
        The tensors in their order; gradients flow through to the originals.
    """
    with torch.autocast(tensors[0].device.type, enabled=False):
        yield [tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors]
