"""Sensitivity: a layer that is hurt on purpose is found, and rounding one layer is what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from residual_nets import Mobile, with_statistics
from torch import nn

from compress.quantize import StaticInt8, TrainableGraph, measure_sensitivity, prepare
from compress.quantize.sensitivity import signal_to_noise

IMAGES = torch.rand(32, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def prepared(model: nn.Module) -> TrainableGraph:
    return prepare(model, IMAGES[:1], StaticInt8(), IMAGES)


def test_a_layer_with_wild_weights_costs_most() -> None:
    """One channel of a layer gets a weight 300 times the others, into an input that is always 0."""
    torch.manual_seed(0)
    model = with_statistics(Mobile(), IMAGES)
    before = {each.layer: each for each in measure_sensitivity(prepared(model), IMAGES)}
    with torch.no_grad():
        layer, norm = model.blocks[1].pointwise, model.blocks[1].norm1
        norm.weight[0] = norm.bias[0] = 0.0  # ReLU6 makes it 0
        layer.weight[:, 0] = 300 * layer.weight.abs().max()
    found = measure_sensitivity(prepared(model), IMAGES)
    worst = min(found, key=lambda each: each.sqnr_db)
    assert worst.layer == "blocks.1.pointwise (aten.conv2d.default)"
    assert worst.sqnr_db < before[worst.layer].sqnr_db - 20
    assert worst.agreement < 1
    assert worst.parameters == 16 * 16 + 16


def test_every_layer_and_every_other_value_once() -> None:
    torch.manual_seed(0)
    found = measure_sensitivity(prepared(with_statistics(Mobile(), IMAGES)), IMAGES)
    layers = [each.layer.split(" ")[0] for each in found if each.parameters]
    assert layers == ["stem.0", *(f"blocks.{i}.{n}" for i in range(3) for n in ("depthwise", "pointwise")), "head"]
    others = [each.layer for each in found if not each.parameters]
    assert others[0].startswith("input")
    assert any("aten.add.Tensor" in each for each in others)
    assert len({each.node for each in found}) == len(found)


def test_a_single_layer_is_what_numpy_makes_of_it() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 5, bias=False))
    rows = IMAGES.flatten(1).double().numpy()
    weight = model[1].weight.detach().double().numpy()
    scale = np.abs(weight).max(1, keepdims=True) / 127
    expected = rows @ weight.T
    rounded = rows @ (np.rint(weight / scale) * scale).T
    low, high = min(expected.min(), 0), max(expected.max(), 0)
    step = (high - low) / 255
    zero = np.rint(-128 - low / step)
    stored = np.clip(np.rint(rounded / step) + zero, -128, 127)
    noise = ((stored - zero) * step - expected) ** 2
    (layer,) = [each for each in measure_sensitivity(prepared(model), IMAGES) if each.parameters]
    assert layer.sqnr_db == pytest.approx(10 * np.log10((expected**2).sum() / noise.sum()), abs=0.05)


def test_it_leaves_all_roundings_on() -> None:
    trainable = prepared(with_statistics(Mobile(), IMAGES))
    with torch.no_grad():
        before = trainable(IMAGES)
        measure_sensitivity(trainable, IMAGES)
        assert torch.equal(trainable(IMAGES), before)


def test_equal_logits_have_no_noise() -> None:
    assert signal_to_noise(torch.ones(2), torch.ones(2)) == math.inf
    assert signal_to_noise(torch.tensor([10.0]), torch.tensor([9.0])) == pytest.approx(20)
