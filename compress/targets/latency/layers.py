"""Which type of layer a block of instructions is for, by the names of the kernels that have it."""

from __future__ import annotations

import re
from collections.abc import Iterable

OTHER = "other"
_LAYERS = (  # the first that is found in a name; XNNPACK's names, then those of LiteRT's own kernels
    (OTHER, r"pack|transpose|pad|copy"),
    ("depthwise", r"dwconv|DepthwiseConv"),
    ("products", r"gemm|spmm|conv2d|convolution|BatchMatMul|FullyConnected"),
    ("pooling", r"pool|_rd?(sum|max|min)|ReduceMean"),
    ("softmax", r"softmax|Softmax|expminusmax"),
    ("elementwise", r"_v[a-z]+|unary|binary|lut|HardSwish|Logistic"),
)
"""Convolutions that are not depthwise, linear layers and products of two activations share XNNPACK's GEMM kernels."""


def tell_layer(kernels: Iterable[str]) -> str:
    """The one type of layer that all these functions are for; OTHER where they differ, and for what is no layer's."""
    found = {_tell(name) for name in kernels}
    return found.pop() if len(found) == 1 else OTHER


def _tell(kernel: str) -> str:
    return next((layer for layer, pattern in _LAYERS if re.search(pattern, kernel)), OTHER)
