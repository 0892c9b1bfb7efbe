"""The whole of `quantize`: ranges, errors, and integer arithmetic in NumPy as the oracle of the simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from residual_nets import Mobile, Residual, with_statistics
from torch import Tensor, nn

from compress.errors import DataError, ModelError
from compress.quantize import Float16, QuantizedGraph, StaticInt8, quantize

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(130, 4, 9, 9, generator=GENERATOR) * 3 - 1
DIGITS = torch.rand(64, 1, 28, 28, generator=GENERATOR)


def buffer(graph: QuantizedGraph, name: str) -> NDArray[Any]:
    value: NDArray[Any] = dict(graph.module.named_buffers())[name].numpy()
    return value


def integers(real: Tensor, entry: dict[str, Any]) -> NDArray[np.int64]:
    """What is stored for real values."""
    stored = np.rint(real.double().numpy() / entry["scale"]) + entry["zero_point"]
    return np.clip(stored, -128, 127).astype(np.int64)


def check_stored(graph: QuantizedGraph, layer: str, model: nn.Module) -> None:
    """Weights are the nearest steps of max|w| / 127 per channel, biases of input scale * weight scale."""
    weight = model.get_parameter("weight").detach().double().numpy()
    scale = np.abs(weight).reshape(len(weight), -1).max(1) / 127
    np.testing.assert_allclose(graph.qparams[f"{layer}.weight"]["scale"], scale, rtol=1e-6)
    per_channel = scale.reshape(-1, *[1] * (weight.ndim - 1))
    assert np.abs(buffer(graph, "weight_q") - weight / per_channel).max() <= 0.501
    bias = model.get_parameter("bias").detach().double().numpy()
    accumulator = scale * graph.qparams["input_1"]["scale"]
    np.testing.assert_allclose(graph.qparams[f"{layer}.bias"]["scale"], accumulator, rtol=1e-6)
    np.testing.assert_allclose(buffer(graph, "bias_q"), bias / accumulator, rtol=1e-6, atol=0.501)


def integer_layer(windows: NDArray[np.int64], graph: QuantizedGraph, layer: str, output: str) -> NDArray[np.int64]:
    """int32 accumulation and requantisation, as Jacob et al. 2018 (section 2.2) define them.

    windows: (..., taps) input integers with the zero_point subtracted. Returns (..., filters) integers.
    """
    weight = buffer(graph, "weight_q").astype(np.int64)
    accumulator = windows @ weight.reshape(len(weight), -1).T + buffer(graph, "bias_q").astype(np.int64)
    assert np.abs(accumulator).max() < 2**31
    ratio = np.array(graph.qparams[f"{layer}.bias"]["scale"]) / graph.qparams[output]["scale"]
    stored = np.rint(accumulator * ratio) + graph.qparams[output]["zero_point"]
    return np.clip(stored, -128, 127).astype(np.int64)


@pytest.mark.parametrize(("stride", "padding", "clip"), [(1, 1, None), (2, 1, nn.ReLU6()), (2, 0, nn.ReLU())])
def test_convolution_is_integer_arithmetic(stride: int, padding: int, clip: nn.Module | None) -> None:
    torch.manual_seed(1)
    conv = nn.Conv2d(4, 6, 3, stride, padding)
    model: nn.Module = conv if clip is None else Clipped(conv, clip)
    graph = quantize(model, IMAGES[:1], StaticInt8(), IMAGES)
    output = [name for name in graph.qparams if "." not in name][-1]
    centred = integers(IMAGES, graph.qparams["input_1"]) - graph.qparams["input_1"]["zero_point"]
    padded = np.pad(centred, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    taps = windows.transpose(0, 2, 3, 1, 4, 5).reshape(*windows.shape[:1], *windows.shape[2:4], -1)
    expected = integer_layer(taps, graph, "conv2d", output).transpose(0, 3, 1, 2)
    check_stored(graph, "conv2d", model)
    check_integers(graph, IMAGES, expected, output)


class Clipped(nn.Module):
    """Keeps the parameter names `weight` and `bias` of a lone layer."""

    def __init__(self, layer: nn.Conv2d, clip: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.stride, self.padding, self.clip = layer.stride, layer.padding, clip

    def forward(self, image: Tensor) -> Tensor:
        features = nn.functional.conv2d(image, self.weight, self.bias, self.stride, self.padding)
        clipped: Tensor = self.clip(features)
        return clipped


def test_linear_is_integer_arithmetic() -> None:
    torch.manual_seed(1)
    rows = IMAGES.flatten(1)[:, :50]
    model = nn.Linear(50, 7)
    graph = quantize(model, rows[:1], StaticInt8(), rows)
    check_stored(graph, "linear", model)
    centred = integers(rows, graph.qparams["input_1"]) - graph.qparams["input_1"]["zero_point"]
    check_integers(graph, rows, integer_layer(centred, graph, "linear", "linear"), "linear")


def check_integers(graph: QuantizedGraph, images: Tensor, expected: NDArray[np.int64], output: str) -> None:
    got = integers(graph.module(images), graph.qparams[output])
    assert len(np.unique(expected)) > 100
    assert np.abs(got - expected).max() <= 1
    assert (got == expected).mean() > 0.999


@pytest.mark.parametrize(("net", "method"), [(Mobile, "min_max"), (Residual, "percentile")])
def test_a_whole_net_keeps_its_logits(net: type[nn.Module], method: Any) -> None:
    torch.manual_seed(0)
    model = with_statistics(net(), DIGITS)
    graph = quantize(model, DIGITS[:1], StaticInt8(calibration=method), DIGITS)
    with torch.no_grad():
        expected, got = model(DIGITS), graph.module(DIGITS)
    noise = float(((got - expected) ** 2).sum() / (expected - expected.mean(0)).pow(2).sum())
    assert graph.left_in_float == ()
    assert len(got.unique()) > 100
    assert noise < 0.02  # of the variance between images


def test_min_max_sees_every_image() -> None:
    images = torch.zeros(130, 1, 4, 4)
    images[129, 0, 3, 3] = 51.0  # in the last, smaller batch
    graph = quantize(nn.Conv2d(1, 1, 1), images[:1], StaticInt8(), images)
    assert graph.qparams["input_1"] == {"scale": pytest.approx(51 / 255), "zero_point": -128}


def test_percentile_spares_the_outliers_of_either_side() -> None:
    images = torch.linspace(-1.0, 1.0, 100_000).reshape(100, 10, 10, 10)
    images[0, 0, 0, 0], images[99, 9, 9, 9] = -30.0, 30.0
    graph = quantize(nn.Conv2d(10, 1, 1), images[:1], StaticInt8(calibration="percentile"), images)
    low, high = np.percentile(images.numpy(), [0.01, 99.99])
    assert graph.qparams["input_1"]["scale"] == pytest.approx((high - low) / 255, abs=2 * 60 / 4096 / 255)


def test_dead_channels_and_constant_activations_stay_finite() -> None:
    torch.manual_seed(0)
    first, second = nn.Conv2d(4, 6, 3), nn.Conv2d(6, 5, 1)
    with torch.no_grad():
        first.weight[2] = 0.0
        first.bias.fill_(-100.0)  # type: ignore[union-attr]
        first.bias[2] = 3.0  # type: ignore[index]  # a dead channel that is not 0
        second.weight[:, 4] = 1e-30
    for model in (nn.Sequential(first, nn.ReLU(), second), nn.Sequential(first, nn.ReLU6(), nn.Conv2d(6, 5, 1))):
        graph = quantize(model, IMAGES[:1], StaticInt8(), IMAGES)
        scales = [np.atleast_1d(entry["scale"]) for entry in graph.qparams.values()]
        assert np.all(np.concatenate(scales) > 0)
        assert np.all(np.isfinite(np.concatenate(scales)))
        torch.testing.assert_close(graph.module(IMAGES), model(IMAGES), atol=0.05, rtol=0.02)


def test_an_output_that_is_always_zero_is_exactly_zero() -> None:
    conv = nn.Conv2d(4, 6, 3)
    nn.init.constant_(conv.bias, -1000.0)  # type: ignore[arg-type]
    graph = quantize(nn.Sequential(conv, nn.ReLU()), IMAGES[:1], StaticInt8(), IMAGES)
    assert torch.equal(graph.module(IMAGES), torch.zeros(130, 6, 7, 7))


def test_an_output_range_far_below_a_product_is_coarsened_to_what_runtimes_requantise() -> None:
    conv = nn.Conv2d(4, 1, 1)
    nn.init.ones_(conv.weight)
    nn.init.constant_(conv.bias, -float(IMAGES.sum(1).max()) + 1e-4)  # type: ignore[arg-type]
    graph = quantize(nn.Sequential(conv, nn.ReLU()), IMAGES[:1], StaticInt8(), IMAGES)
    ratio = graph.qparams["conv2d.bias"]["scale"][0] / graph.qparams["relu"]["scale"]
    assert ratio == pytest.approx(128, rel=0.01)  # XNNPACK ends at 256; unlimited it would be 3e4


def test_sums_of_equal_scales_do_not_tie() -> None:
    class Sum(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            high, low = nn.functional.relu6(image * 9), nn.functional.relu6(image * 7)
            return high + low

    graph = quantize(Sum(), IMAGES[:1], StaticInt8(), IMAGES)
    scales = {name: entry["scale"] for name, entry in graph.qparams.items() if "." not in name}
    *_, high, low, total = scales.values()
    assert high == low
    assert total == pytest.approx(2 * high * (1 + 1 / 128), rel=1e-6)


UNIT = (IMAGES - IMAGES.min()) / (IMAGES.max() - IMAGES.min())
NAN = IMAGES.clone()
NAN[7, 0, 0, 0] = torch.nan


@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        (None, "is empty"),
        (IMAGES[:0], "is empty"),
        (IMAGES[:, :3], "has shape"),
        (NAN, "calibration input 7 holds NaN"),
        (IMAGES / 0.0, "NaN or infinity"),
        (0 * IMAGES, "every value of the calibration set is 0"),
        (IMAGES[5:6].repeat(9, 1, 1, 1), "all 9 calibration inputs are the same"),
        (UNIT.mul(255).round(), "the calibration set holds whole numbers up to 255 and the other fractions"),
    ],
)
def test_unusable_calibration_sets(calibration: Tensor | None, words: str) -> None:
    with pytest.raises(DataError, match=words):
        quantize(nn.Conv2d(4, 2, 1), UNIT[:1], StaticInt8(), calibration)


def test_an_example_in_bytes_and_a_calibration_set_in_fractions() -> None:
    with pytest.raises(DataError, match=r"the example holds whole numbers up to 25[0-5] .* divide bytes by 255"):
        quantize(nn.Conv2d(4, 2, 1), UNIT[:1].mul(255).round(), StaticInt8(), UNIT)
    for same in (UNIT, UNIT.mul(255).round(), UNIT.round()):
        quantize(nn.Conv2d(4, 2, 1), same[:1], StaticInt8(), same)


def test_activations_that_overflow_are_a_model_error() -> None:
    conv = nn.Conv2d(4, 2, 1)
    nn.init.constant_(conv.weight, 3e38)
    with pytest.raises(ModelError, match="produces NaN or infinity"):
        quantize(conv, IMAGES[:1], StaticInt8(), IMAGES)


def test_float16_rounds_every_weight() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 2, 1)
    graph = quantize(conv, IMAGES[:1], Float16())
    assert graph.precision == "float16"
    expected = conv.weight.detach().half().float()
    assert torch.equal(dict(graph.module.named_buffers())["weight"], expected)
    assert not torch.equal(expected, conv.weight.detach())


def test_float16_refuses_what_it_cannot_hold() -> None:
    conv = nn.Conv2d(4, 2, 1)
    nn.init.constant_(conv.weight, 1e5)
    with pytest.raises(ModelError, match="at most 65504"):
        quantize(conv, IMAGES[:1], Float16())
