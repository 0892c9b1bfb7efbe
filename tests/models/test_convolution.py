"""Convolutions that pad as TensorFlow does, and side by side."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compress.models.branches import Branches, Conv, average, chain, split
from compress.models.convolution import SameConv2d, convolve


def ones(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.ones_(layer.weight)
    return layer


def test_same_padding_of_an_even_image_comes_last() -> None:
    """TensorFlow's rule by hand: the windows of stride 2 begin at 0 and 2, and the last reach one pixel beyond."""
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    sums = ones(SameConv2d(1, 1, 3, 2, bias=False))(image)
    windows = [[(0, 1, 2, 4, 5, 6, 8, 9, 10), (2, 3, 6, 7, 10, 11)], [(8, 9, 10, 12, 13, 14), (10, 11, 14, 15)]]
    assert sums[0, 0].tolist() == [[float(sum(window)) for window in row] for row in windows]


@pytest.mark.parametrize("size", [5, 7, 9])
@pytest.mark.parametrize("kernel", [3, 5])
def test_same_padding_of_an_odd_image_is_symmetric(size: int, kernel: int) -> None:
    image = torch.rand(1, 2, size, size + 2)
    same = SameConv2d(2, 3, kernel, 2)
    symmetric = nn.Conv2d(2, 3, kernel, 2, kernel // 2)
    symmetric.load_state_dict(same.state_dict())
    torch.testing.assert_close(same(image), symmetric(image))


@pytest.mark.parametrize(("padding", "shape"), [("symmetric", (4, 5)), ("same", (4, 5)), ("valid", (3, 4))])
def test_sizes_after_a_stride_of_2(padding, shape: tuple[int, int]) -> None:
    layer = convolve(1, 2, 3, stride=2, padding=padding)
    assert layer(torch.rand(1, 1, 8, 9)).shape[2:] == shape
    assert list(layer.state_dict()) == list(convolve(1, 2, 3).state_dict())


def test_branches_see_the_same_image() -> None:
    image = torch.rand(1, 3, 6, 6)
    torch.testing.assert_close(Branches([nn.Identity(), nn.ReLU()])(image), torch.cat([image, image], 1))


def test_a_chain_counts_its_channels_through_pools_and_splits() -> None:
    both = (Conv(4, (1, 3)), Conv(5, (3, 1)))
    layers = split(3, (Conv(2), both, Conv(6)), (average(), Conv(7, 3, 1, "valid"), nn.ZeroPad2d(1)))
    assert layers(torch.rand(1, 3, 6, 6)).shape == (1, 6 + 7, 6, 6)
    assert chain(3, both)(torch.rand(1, 3, 6, 6)).shape == (1, 9, 6, 6)


def test_the_border_counts_no_pixels_that_are_not_there() -> None:
    assert average()(torch.ones(1, 1, 4, 4)).unique().tolist() == [1.0]
