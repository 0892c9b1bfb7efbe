"""A residual CNN (He et al. 2016), sized for images of 28 to 64 pixels: the teacher of the quickstart."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, out_channels, ceil(h / stride), ceil(w / stride))."""
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """A stem, then residual blocks in stages that halve the size, then a linear classifier."""

    def __init__(self, in_channels: int, classes: int, widths: tuple[int, ...], blocks: int, stem_stride: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], 3, stem_stride, 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        layers: list[nn.Module] = []
        channels = widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                layers.append(ResidualBlock(channels, width, stride=2 if stage > 0 and block == 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) in [0, 1] to logits (batch, classes)."""
        return self.classifier(self.pool(self.blocks(self.stem(x))).flatten(1))


def resnet(
    *,
    in_channels: int,
    classes: int,
    widths: tuple[int, ...] = (48, 96, 192),
    blocks: int = 1,
    stem_stride: int = 2,
) -> nn.Module:
    """A residual CNN.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        widths: channels of each stage; each stage after the first halves height and width.
        blocks: residual blocks per stage.
        stem_stride: 2 halves height and width at once; 1 keeps them, for four times the work.
    """
    return ResNet(in_channels, classes, widths, blocks, stem_stride)
