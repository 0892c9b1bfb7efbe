"""Between real values and what a model file stores: layout, quantisation, type."""

from __future__ import annotations

import numpy as np

from compress.errors import DataError, ModelError
from compress.types import TensorSpec


def encode(spec: TensorSpec, images: np.ndarray) -> np.ndarray:
    """Turn images into a model's input: its layout, its type, its scale and zero point.

    Quantised as ONNX's QuantizeLinear defines it: round(x / scale) half to even, plus zero_point, saturated.

    Args:
        spec: the model's input.
        images: (n, channels, height, width) float32, normalised as the network was trained.

    Returns:
        (n, ...) in the layout and dtype of `spec`, contiguous.

    Raises:
        DataError: a value is not finite.
        ModelError: the images fit the input in neither layout, or in both.
    """
    if not np.isfinite(images).all():
        bad = int(np.flatnonzero(~np.isfinite(images).all(axis=tuple(range(1, images.ndim))))[0])
        raise DataError(f"image {bad} of {len(images)} has a value that is not finite, expected numbers; remove it")
    images = np.ascontiguousarray(_arrange(spec, images), dtype=np.float32)
    if spec.scale is None or spec.zero_point is None:
        return images.astype(spec.dtype, copy=False)
    limits = np.iinfo(spec.dtype)
    stored = np.rint(images / np.float32(spec.scale)) + np.float32(spec.zero_point)
    return np.clip(stored, limits.min, limits.max).astype(spec.dtype)


def decode(spec: TensorSpec, raw: np.ndarray) -> np.ndarray:
    """The real values of a model's stored output.

    Args:
        spec: the model's output.
        raw: any shape, as the runtime returned it.

    Returns:
        Same shape, float32: scale * (raw - zero_point), or `raw` itself where the output is not quantised.
    """
    if spec.scale is None or spec.zero_point is None:
        return raw.astype(np.float32)
    return np.float32(spec.scale) * (raw.astype(np.int32) - spec.zero_point).astype(np.float32)


def _arrange(spec: TensorSpec, images: np.ndarray) -> np.ndarray:
    first = images.shape[1:]
    last = (*first[1:], first[0])
    fits_first, fits_last = _fits(spec, first), _fits(spec, last)
    if fits_first and fits_last and first != last:
        raise ModelError(
            f"input {spec.name!r} of shape {spec.shape} fits images of {first} channel-first and "
            f"channel-last; expected one of them; give the file an input of fixed shape"
        )
    if fits_first:
        return images
    if fits_last:
        return np.moveaxis(images, 1, -1)
    raise ModelError(
        f"input {spec.name!r} has the shape {spec.shape}, expected {(None, *first)} or {(None, *last)}; "
        f"use images of the size that the model was exported for"
    )


def _fits(spec: TensorSpec, shape: tuple[int, ...]) -> bool:
    return len(spec.shape) == len(shape) + 1 and all(
        want in (None, have) for want, have in zip(spec.shape[1:], shape, strict=True)
    )
