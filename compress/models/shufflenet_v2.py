"""ShuffleNet V2 (Ma et al. 2018, arXiv 1807.11164): half the channels pass, half are convolved, then all are shuffled.

Layer for layer torchvision's `shufflenet_v2_x1_0` and its siblings.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compress.errors import ModelError
from compress.models.convolution import ImageClassifier, convolve

_STEM, _BLOCKS = 24, (4, 8, 4)
_CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


class ShuffleUnit(nn.Module):
    """Half the channels through a 1x1, a depthwise and a 1x1 convolution; with stride 2, all of them in both halves."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.halves = stride == 1
        source = half if self.halves else in_channels
        self.shortcut: nn.Module = nn.Identity()
        if not self.halves:
            self.shortcut = nn.Sequential(
                convolve(source, source, 3, stride=stride, groups=source),
                convolve(source, half, 1, nn.ReLU(inplace=True)),
            )
        self.layers = nn.Sequential(
            convolve(source, half, 1, nn.ReLU(inplace=True)),
            convolve(half, half, 3, stride=stride, groups=half),
            convolve(half, half, 1, nn.ReLU(inplace=True)),
        )
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, out_channels, ceil(h / stride), ceil(w / stride))."""
        kept, convolved = x.chunk(2, 1) if self.halves else (x, x)
        return self.shuffle(torch.cat([self.shortcut(kept), self.layers(convolved)], 1))


def shufflenet_v2(*, in_channels: int, classes: int, width: float = 1.0) -> nn.Module:
    """ShuffleNet V2; published for images of 224 pixels.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        width: which of the published networks: 0.5, 1, 1.5 or 2; their channels are no multiples of each other.

    Raises:
        ModelError: width is none of the four.
    """
    if width not in _CHANNELS:
        raise ModelError(f"shufflenet_v2: width is {width}; expected 0.5, 1, 1.5 or 2; try 1")
    stem = nn.Sequential(
        convolve(in_channels, _STEM, 3, nn.ReLU(inplace=True), stride=2),
        nn.MaxPool2d(3, 2, 1),
    )
    *stages, features = _CHANNELS[width]
    blocks: list[nn.Module] = []
    channels = _STEM
    for stage_channels, repeats in zip(stages, _BLOCKS, strict=True):
        for number in range(repeats):
            blocks.append(ShuffleUnit(channels, stage_channels, 2 if number == 0 else 1))
            channels = stage_channels
    head = convolve(channels, features, 1, nn.ReLU(inplace=True))
    return ImageClassifier(stem, nn.Sequential(*blocks), head, features, classes)
