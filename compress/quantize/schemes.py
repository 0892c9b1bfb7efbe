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
    rounding: learn for every weight whether to round up or down; None rounds to nearest. Takes seconds for a small
        network, minutes for a large one.
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


@dataclass(frozen=True, kw_only=True)
class MixedInt8(StaticInt8):
    """StaticInt8 with some layers in float32: those that are named, or a few that an accuracy budget needs.

    All other layers keep the integers and scales that they would have without. Give a budget or names, not both.

    exempt: module paths of convolutions and linear layers, such as `blocks.0.conv`.
    sqnr_db: how far the logits must stay above the noise of rounding, in dB, on the calibration set, without labels.
    agreement: the share of calibration inputs that must keep their class, in (0, 1].

    Repairs that learn from the calibration set flatter themselves on it: they get three quarters of it, and the budget
    is judged on the rest.
    A budget makes and measures one graph for every layer that it tries to exempt or to give back, and repairs each;
    with learnt rounding that takes longer, though layers before the first that differs learn once.
    """

    exempt: tuple[str, ...] = ()
    sqnr_db: float | None = None
    agreement: float | None = None
    precision: ClassVar[Precision] = "mixed_int8"

    def __post_init__(self) -> None:
        if bool(self.exempt) == (self.sqnr_db is not None or self.agreement is not None):
            raise ValueError("expected either exempt, or sqnr_db and agreement or one of them")


@dataclass(frozen=True, kw_only=True)
class QATInt8:
    """StaticInt8 whose weights were trained on through the rounding (Jacob et al. 2018, section 3).

    `quantize` cannot do it alone: `prepare` the model, train what it gives, `finish` it.

    calibration, clamp_dead_channels, equalise: as in StaticInt8, before training, which leaves ranges of activations as
        they are. What StaticInt8 does to integers, training does better.
    """

    calibration: Literal["min_max", "percentile", "mse", "entropy"] = "min_max"
    clamp_dead_channels: bool = False
    equalise: bool = False
    precision: ClassVar[Precision] = "qat_int8"


@dataclass(frozen=True, kw_only=True)
class DynamicInt8:
    """Linear layers on integers with ranges found at run time: the default for transformers, which need no calibration.

    Weights of linear layers and tables of embeddings are symmetric int8 in [-127, 127] with a scale per row; each row
    of a linear layer's input is stored as int8 with a scale and zero_point of its own. Refused for models whose work is
    convolutions: no runtime computes those fast with ranges found at run time.
    """

    precision: ClassVar[Precision] = "dynamic_int8"


@dataclass(frozen=True, kw_only=True)
class WeightOnlyInt8:
    """Weights as in DynamicInt8, arithmetic in float: the size of int8, more accurate, no faster than float32.

    Both runtimes compute the real weights once, while they load the file.
    """

    precision: ClassVar[Precision] = "weight_only_int8"


@dataclass(frozen=True, kw_only=True)
class WeightOnlyInt4:
    """Linear layers and embeddings in 4 bits, [-8, 7], with one scale for each block of a row.

    Both runtimes multiply them with activations that they store as int8 at run time, an error that is small beside that
    of the weights.

    block_size: values that share a scale; a row must be a whole number of blocks. Smaller is more accurate and larger:
        32 costs 4.5 bits a weight in TFLite and 5 in ONNX.
    """

    block_size: Literal[32, 64, 128, 256] = 32
    precision: ClassVar[Precision] = "weight_only_int4"


WeightScheme = DynamicInt8 | WeightOnlyInt8 | WeightOnlyInt4
Scheme = Float32 | Float16 | StaticInt8 | MixedInt8 | QATInt8 | WeightScheme
