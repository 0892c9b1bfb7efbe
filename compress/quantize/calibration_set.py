"""What a calibration set must be for its ranges to mean anything; checked before a model is even captured."""

from __future__ import annotations

import torch
from torch import Tensor

from compress.errors import DataError, ModelError


def check_calibration(calibration: Tensor | None, example: Tensor) -> Tensor:
    """The set as float32 on the CPU.

    Args:
        calibration: (n, ...) real numbers, n >= 1.
        example: (1, ...), one input as in production.

    Raises:
        ModelError: the inputs are token ids.
        DataError: the set is missing or empty, of another shape or range than the example, not finite, or the same
            throughout.
    """
    if not example.is_floating_point():
        raise ModelError(
            f"static_int8 rounds its input, and this model's are {example.dtype} token ids; expected real numbers; "
            "use dynamic_int8"
        )
    wanted = ", ".join(str(size) for size in example.shape[1:])
    if calibration is None or calibration.shape[0] == 0:
        raise DataError(
            f"the calibration set is empty; expected at least one input of shape ({wanted}); "
            "give the task's calibration split some images"
        )
    if calibration.shape[1:] != example.shape[1:]:
        raise DataError(
            f"the calibration set has shape {tuple(calibration.shape)}; expected (n, {wanted}) like the example; "
            "apply the task's preprocessing to it"
        )
    data = calibration.detach().to(device="cpu", dtype=torch.float32)
    bad = (~torch.isfinite(data)).flatten(1).any(1).nonzero().flatten()
    if len(bad):
        raise DataError(
            f"calibration input {int(bad[0])} holds NaN or infinity ({len(bad)} of {len(data)} do); "
            "expected finite numbers; repair the data set"
        )
    _refuse_constant(data)
    _refuse_bytes(data, example.detach().to(device="cpu", dtype=torch.float32))
    return data


def _refuse_constant(data: Tensor) -> None:
    low, high = float(data.min()), float(data.max())
    if low == high:
        raise DataError(
            f"every value of the calibration set is {low:g}; expected inputs as in production, whose ranges int8 is "
            "made for; check how they are read"
        )
    if len(data) > 1 and bool((data == data[:1]).all()):
        raise DataError(
            f"all {len(data)} calibration inputs are the same; expected different ones, as in production; "
            "check how they are read"
        )


def _refuse_bytes(data: Tensor, example: Tensor) -> None:
    """Of the two, one holds bytes and the other fractions of [0, 1]: a division by 255 was forgotten on one side."""
    for one, other, says in ((data, example, "the calibration set holds"), (example, data, "the example holds")):
        is_bytes = bool((one == one.round()).all()) and float(one.min()) >= 0 and 1 < float(one.max()) <= 255
        is_fractions = float(other.min()) >= 0 and float(other.max()) <= 1 and bool((other != other.round()).any())
        if is_bytes and is_fractions:
            raise DataError(
                f"{says} whole numbers up to {float(one.max()):g} and the other fractions of [0, 1]; expected one "
                "range, that of production; divide bytes by 255"
            )
