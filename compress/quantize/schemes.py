"""What `quantize` can do to a model: the class is the scheme's name, its fields are all of its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from compress.quantize.rounding import LearntRounding
from compress.types import Precision


@dataclass(frozen=True, kw_only=True)
class Float32:
    """The model as it was trained, with batch norm folded."""

    precision: ClassVar[Precision] = "float32"


@dataclass(frozen=True, kw_only=True)
class Float16:
    """Every weight rounded to IEEE half precision: half the size, float arithmetic."""

    precision: ClassVar[Precision] = "float16"


@dataclass(frozen=True, kw_only=True)
class StaticInt8:
    """Integer arithmetic from input to output, with ranges fixed by a calibration set.

    Weights are per_channel symmetric int8 in [-127, 127], activations per_tensor affine int8 in [-128, 127], biases
    int32 with scale = scale of the input * scale of the weight (Jacob et al. 2018, section 2.3).

    calibration: how an activation's range follows from the values seen: `min_max` keeps them all; `percentile`
        gives up the outermost 0.01 % on either side, for models whose rare outliers would coarsen every step; `mse`
        takes the range with the smallest squared error, `entropy` the one that loses the least information.

    What follows repairs convolutions and linear layers of a model that loses too much; each works alone and all work
    together, without labels. Measured on EfficientNet-Lite0 by benchmarks/quantization/efficientnet.py.

    clamp_dead_channels: channels that their activation holds at one value, on the whole calibration set and by batch
        norm's statistics, get weights of 0 and that value as bias.
    equalise: scale channels that share a scale to like ranges, wherever that leaves the float function as it is.
    rounding: learn for every weight whether to round up or down; None rounds to nearest. Takes minutes.
    bias_correction: take away the mean error that rounding gives each channel of a layer. `calibrated` measures it on
        the calibration set, with all errors of the layers before; `analytic` computes it from batch norm's statistics
        without data, wherever a layer's input has them, and measures the rest.
    """

    calibration: Literal["min_max", "percentile", "mse", "entropy"] = "min_max"
    clamp_dead_channels: bool = False
    equalise: bool = False
    rounding: LearntRounding | None = None
    bias_correction: Literal["analytic", "calibrated"] | None = None
    precision: ClassVar[Precision] = "static_int8"


Scheme = Float32 | Float16 | StaticInt8
