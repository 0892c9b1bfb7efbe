"""ResNet v2 (He et al. 2016, arXiv 1603.05027): batch norm and ReLU before the convolutions, bare sums between blocks.

As in TensorFlow Models' research/slim/nets/resnet_v2.py: the last block of a stage halves the image, not the first.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from compress.models.convolution import ImageClassifier, convolve

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_EPSILON = 1.001e-5


class PreActivation(nn.Module):
    """Batch norm and ReLU, then a bottleneck around a shortcut.

    Where channels change, the shortcut is a 1x1 convolution of what is normalised; otherwise it is the input itself,
    of which a stride keeps every second row and column.
    """

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.activate = activate(in_channels)
        self.projects = in_channels != out_channels
        self.shortcut: nn.Module = nn.Identity()
        if self.projects:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride)
        elif stride > 1:
            self.shortcut = nn.MaxPool2d(1, stride)
        self.layers = nn.Sequential(
            convolve(in_channels, inner, 1, nn.ReLU(inplace=True), epsilon=_EPSILON),
            convolve(inner, inner, 3, nn.ReLU(inplace=True), stride=stride, epsilon=_EPSILON),
            nn.Conv2d(inner, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, out_channels, ceil(h / stride), ceil(w / stride))."""
        activated = self.activate(x)
        return self.shortcut(activated if self.projects else x) + self.layers(activated)


def activate(channels: int) -> nn.Sequential:
    """Batch norm and ReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels, eps=_EPSILON), nn.ReLU(inplace=True))


def resnet_v2(*, in_channels: int, classes: int, depth: Literal[50, 101, 152] = 50) -> nn.Module:
    """A residual network of pre-activation bottlenecks; published for images of 224 and 299 pixels.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        depth: number of layers with weights.
    """
    stem = nn.Sequential(nn.Conv2d(in_channels, 64, 7, 2, 3), nn.MaxPool2d(3, 2, 1))
    blocks: list[nn.Module] = []
    channels = 64
    for stage, repeats in enumerate(_BLOCKS[depth]):
        inner = 64 * 2**stage
        for number in range(repeats):
            stride = 2 if number == repeats - 1 and stage < 3 else 1
            blocks.append(PreActivation(channels, inner, 4 * inner, stride))
            channels = 4 * inner
    return ImageClassifier(stem, nn.Sequential(*blocks), activate(channels), channels, classes)
