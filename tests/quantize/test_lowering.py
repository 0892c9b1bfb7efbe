"""Rewrites keep the function: the float graph against the model, over the options of each operator."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.quantize import Float32, quantize
from compress.quantize.transposed import cells, sub_pixel_weight

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(3, 4, 5, 7, generator=GENERATOR)
SIGNALS = torch.randn(3, 4, 9, generator=GENERATOR)


class Apply(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.function(image)  # type: ignore[operator]
        return result


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(("stride", "padding", "extra"), [(1, 0, 0), (2, 0, 1), (2, 1, 0), (3, 1, 2), (3, 2, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_sub_pixel_weights_transpose(kernel: int, stride: int, padding: int, extra: int, groups: int) -> None:
    """The pure functions alone, against torch's transposed convolution along rows and columns of unequal size."""
    weight = torch.randn(4, 3, kernel, kernel, generator=GENERATOR)
    expected = F.conv_transpose2d(IMAGES, weight, None, stride, padding, extra, groups)
    both = [cells(n, kernel, stride, padding, m) for n, m in zip(IMAGES.shape[2:], expected.shape[2:], strict=True)]
    edges = [both[1].before, both[1].after, both[0].before, both[0].after]
    wide = F.conv2d(F.pad(IMAGES, edges), sub_pixel_weight(weight, [stride, stride], groups), groups=groups)
    woven = F.pixel_shuffle(wide, stride)
    rows, columns = (slice(c.first, c.first + m) for c, m in zip(both, expected.shape[2:], strict=True))
    torch.testing.assert_close(woven[:, :, rows, columns], expected, rtol=1e-4, atol=1e-5)


LAYERS = {
    "transposed, dilated": (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, dilation=2), IMAGES),
    "transposed, groups, batch norm": (
        nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, groups=2), nn.BatchNorm2d(6), nn.ReLU()),
        IMAGES,
    ),
    "transposed, unequal strides": (nn.ConvTranspose2d(4, 6, 3, (1, 2)), IMAGES),
    "conv1d, same padding": (nn.Conv1d(4, 6, 4, padding="same"), SIGNALS),
    "conv1d twice": (nn.Sequential(nn.Conv1d(4, 6, 3, 2, 1), nn.ReLU(), nn.Conv1d(6, 2, 3, dilation=2)), SIGNALS),
    "transposed 1d": (nn.ConvTranspose1d(4, 6, 5, 3, 2, 1), SIGNALS),
    "1-d pools": (nn.Sequential(nn.MaxPool1d(2, 1, 1), nn.AvgPool1d(3, 2, 1), nn.AdaptiveAvgPool1d(1)), SIGNALS),
    "PReLU": (nn.PReLU(4), IMAGES),
    "PReLU, one slope": (nn.PReLU(), IMAGES),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_their_function(name: str) -> None:
    model, inputs = LAYERS[name]
    same_function(model.eval(), inputs)


FUNCTIONS = {
    "average pool, border": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "average pool, border not counted": lambda x: F.avg_pool2d(x, (3, 2), 2, (1, 0), count_include_pad=False),
    "average pool, ceiling": lambda x: F.avg_pool2d(x, 2, 2, ceil_mode=True),
    "average pool, divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "adaptive average pool": lambda x: F.adaptive_avg_pool2d(x[..., :6], (5, 3)),
    "adaptive maximum pool": lambda x: F.adaptive_max_pool2d(x[..., :6], (1, 3)),
    "nearest by a fraction": lambda x: F.interpolate(x, size=(8, 11)),
    "nearest by a fraction of its own": lambda x: F.interpolate(x, scale_factor=(2.1, 1.5)),
    "nearest by a fraction in one direction": lambda x: F.interpolate(x, size=(10, 10)),
    "attention": lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1, scale=0.3),
    "channel shuffle": lambda x: torch.channel_shuffle(x, 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x[:, :, :4, :6], 2),
    "glu": lambda x: F.glu(x, 1),
    "stack": lambda x: torch.stack([x, x * 2], -1),
    "repeat": lambda x: x.repeat(1, 2, 1, 3),
    "sum": lambda x: x.sum((1, -1)),
    "square, negative, number minus": lambda x: 2.0 - (-x) ** 2,
    "clamps": lambda x: x.clamp_max(0.5) + x.clamp_min(-0.1) + x.clamp(0.1, 0.2),
    "maximum along": lambda x: x.max(2).values,
    "chosen": lambda x: x[:, :, [4, 0, 0]],
    "unbind": lambda x: x.unbind(1)[2],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_stay_what_they_are(name: str) -> None:
    same_function(Apply(FUNCTIONS[name]), IMAGES)


def same_function(model: nn.Module, inputs: Tensor) -> None:
    graph = quantize(model, inputs[:1], Float32()).module
    with torch.no_grad():
        expected, got = model(inputs), graph(inputs)
    assert len(expected.unique()) > 5
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
