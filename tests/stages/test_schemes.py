"""What a recipe says about a scheme is what quantisation is asked to do."""

from __future__ import annotations

import pytest

from compress.quantize import LearntRounding, MixedInt8, QATInt8, Scheme, StaticInt8, WeightOnlyInt4
from compress.recipe import QuantizeConfig
from compress.stages.schemes import read_scheme

TRAIN = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("entry", "scheme"),
    [
        ("static_int8", StaticInt8()),
        ({"scheme": "static_int8", "calibration": "entropy"}, StaticInt8(calibration="entropy")),
        ({"scheme": "static_int8", "clamp_dead_channels": True}, StaticInt8(clamp_dead_channels=True)),
        ({"scheme": "static_int8", "equalise": True}, StaticInt8(equalise=True)),
        ({"scheme": "static_int8", "rounding": "nearest"}, StaticInt8()),
        ({"scheme": "static_int8", "rounding": "learnt"}, StaticInt8(rounding=LearntRounding())),
        ({"scheme": "static_int8", "bias_correction": "analytic"}, StaticInt8(bias_correction="analytic")),
        ({"scheme": "qat_int8", "train": TRAIN, "calibration": "mse"}, QATInt8(calibration="mse")),
        ({"scheme": "qat_int8", "train": TRAIN, "equalise": True}, QATInt8(equalise=True)),
        ({"scheme": "qat_int8", "train": TRAIN, "clamp_dead_channels": True}, QATInt8(clamp_dead_channels=True)),
        ({"scheme": "mixed_int8", "sqnr_db": 24, "equalise": True}, MixedInt8(sqnr_db=24, equalise=True)),
        ({"scheme": "mixed_int8", "agreement": 0.9, "calibration": "mse"}, MixedInt8(agreement=0.9, calibration="mse")),
        ({"scheme": "mixed_int8", "exempt": ("a", "b")}, MixedInt8(exempt=("a", "b"))),
        ({"scheme": "weight_only_int4", "block_size": 64}, WeightOnlyInt4(block_size=64)),
    ],
)
def test_every_option_arrives(entry: object, scheme: Scheme) -> None:
    assert read_scheme(QuantizeConfig.model_validate(entry)) == scheme
