"""ResNet for large images (He et al. 2016, arXiv 1512.03385), ResNeXt and wide ResNet; `resnet` is for small ones.

Layer for layer torchvision's networks of these names; pytorch/vision, torchvision/models/resnet.py.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from compress.models.convolution import ImageClassifier, convolve

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Residual(nn.Module):
    """Layers around a shortcut, which is a 1x1 convolution where the shape changes; ReLU of the sum."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        keeps = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if keeps else convolve(in_channels, out_channels, 1, stride=stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, out_channels, ceil(h / stride), ceil(w / stride))."""
        return self.relu(self.layers(x) + self.shortcut(x))


def resnet_v1(
    *,
    in_channels: int,
    classes: int,
    depth: Literal[18, 34, 50, 101, 152] = 50,
    groups: int = 1,
    group_width: int = 64,
    strided_kernel: Literal[1, 3] = 1,
) -> nn.Module:
    """A residual network; published for images of 224 pixels.

    ResNeXt-50 32x4d has 32 groups of width 4, ResNeXt-101 32x8d 32 of 8, wide ResNet-50-2 one of 128.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        depth: number of layers with weights; from 50 on, blocks are bottlenecks.
        groups: of channels that do not mix in a bottleneck's 3x3 convolution.
        group_width: channels of a group in the first stage; they double from stage to stage.
        strided_kernel: which convolution of a bottleneck halves the image: 1 in the article, 3 in torchvision and in
            what is called version 1.5.
    """
    stem = nn.Sequential(
        convolve(in_channels, 64, 7, nn.ReLU(inplace=True), stride=2),
        nn.MaxPool2d(3, 2, 1),
    )
    blocks: list[nn.Module] = []
    channels = 64
    for stage, repeats in enumerate(_BLOCKS[depth]):
        width = 64 * 2**stage
        for number in range(repeats):
            stride = 2 if number == 0 and stage > 0 else 1
            if depth < 50:
                layers, out_channels = _plain(channels, width, stride), width
            else:
                inner, out_channels = width * group_width * groups // 64, 4 * width
                layers = _bottleneck(channels, inner, out_channels, stride, groups, strided_kernel)
            blocks.append(Residual(channels, out_channels, stride, layers))
            channels = out_channels
    return ImageClassifier(stem, nn.Sequential(*blocks), nn.Identity(), channels, classes)


def _plain(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Sequential(
        convolve(in_channels, out_channels, 3, nn.ReLU(inplace=True), stride=stride),
        convolve(out_channels, out_channels, 3),
    )


def _bottleneck(
    in_channels: int, inner: int, out_channels: int, stride: int, groups: int, strided_kernel: int
) -> nn.Module:
    first, second = (stride, 1) if strided_kernel == 1 else (1, stride)
    return nn.Sequential(
        convolve(in_channels, inner, 1, nn.ReLU(inplace=True), stride=first),
        convolve(inner, inner, 3, nn.ReLU(inplace=True), stride=second, groups=groups),
        convolve(inner, out_channels, 1),
    )
