"""Parameter counts against arithmetic by hand, shapes, and the limits the quickstart promises."""

import pytest
import torch

from compress.models.mobile import mobile_cnn
from compress.models.resnet import resnet


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def conv_bn(kernel: int, in_channels: int, out_channels: int) -> int:
    return kernel * kernel * in_channels * out_channels + 2 * out_channels


def test_resnet_parameters_by_hand() -> None:
    widths = (32, 64, 192)
    stem = conv_bn(3, 1, 32)
    first = 2 * conv_bn(3, 32, 32)
    second = conv_bn(3, 32, 64) + conv_bn(3, 64, 64) + conv_bn(1, 32, 64)
    third = conv_bn(3, 64, 192) + conv_bn(3, 192, 192) + conv_bn(1, 64, 192)
    expected = stem + first + second + third + 192 * 10 + 10
    assert count(resnet(in_channels=1, classes=10, widths=widths)) == expected


def test_mobile_cnn_parameters_by_hand() -> None:
    widths = (24, 48, 96, 96, 128)
    expected = conv_bn(3, 1, 24) + 128 * 10 + 10
    for in_channels, out_channels in ((24, 48), (48, 96), (96, 96), (96, 128)):
        expected += conv_bn(3, 1, in_channels) + conv_bn(1, in_channels, out_channels)
    assert count(mobile_cnn(in_channels=1, classes=10, widths=widths)) == expected


@pytest.mark.parametrize("build", [resnet, mobile_cnn])
@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 10), (3, 32, 100), (1, 8, 2)])
def test_any_image_gives_one_logit_per_class(build, channels: int, size: int, classes: int) -> None:
    model = build(in_channels=channels, classes=classes).eval()
    assert model(torch.rand(2, channels, size, size)).shape == (2, classes)


def test_widths_and_strides_must_match() -> None:
    with pytest.raises(ValueError, match="2 widths but 3 strides"):
        mobile_cnn(in_channels=1, classes=10, widths=(8, 16), strides=(2, 1, 1))


@pytest.mark.parametrize(("stem_stride", "size"), [(1, 7), (2, 4)])
def test_the_stem_decides_the_size_of_what_follows(stem_stride: int, size: int) -> None:
    model = resnet(in_channels=1, classes=10, widths=(4, 8, 12), stem_stride=stem_stride)
    assert model.blocks(model.stem(torch.rand(1, 1, 28, 28))).shape == (1, 12, size, size)
