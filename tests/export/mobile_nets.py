"""Networks whose files the tests of this folder read and run; each packs many kinds of operators into one file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Mobile(nn.Module):
    """Separable convolutions with ReLU6: (n, 1, 28, 28) -> (n, 10).

    By hand: multiply-accumulates 14*14*8*9 + 14*14*8*9 + 14*14*8*16 + 14*14*16*9 + 14*14*16*16 + 7*7*16*9 + 7*7*16*24 +
    24*10 = 157,824; parameters, batch norm folded: (72+8) + (72+8) + (128+16) + (144+16) + (256+16) + (144+16) +
    (384+24) + (240+10) = 1,554.
    """

    MACS, PARAMETERS = 157_824, 1_554

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolve(1, 8, 3, 2)
        self.one = nn.Sequential(convolve(8, 8, 3, 1, groups=8), convolve(8, 16, 1, 1))
        self.two = nn.Sequential(convolve(16, 16, 3, 1, groups=16), convolve(16, 16, 1, 1))
        self.three = nn.Sequential(convolve(16, 16, 3, 2, groups=16), convolve(16, 24, 1, 1))
        self.head = nn.Linear(24, 10)

    def forward(self, image: Tensor) -> Tensor:
        features = self.one(self.stem(image))
        features = self.three(features + self.two(features))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


class Plain(nn.Module):
    """Convolution, depthwise, residual addition, ReLU, pads, lone batch norm, max and average pool: an image out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.lone = convolve(1, 8, 3, 1), nn.BatchNorm2d(8)
        self.left, self.right = convolve(8, 8, 3, 1, groups=8), nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.strided = nn.Conv2d(8, 12, 3, 2)

    def forward(self, image: Tensor) -> Tensor:
        features = F.relu(self.left(self.stem(image)) + self.right(self.stem(image)))
        features = self.lone(F.max_pool2d(features, 3, 2, 1))
        return F.avg_pool2d(self.strided(F.pad(features, (0, 1, 0, 1))), 2)


class Gated(nn.Module):
    """Hard swish, SiLU, squeeze-and-excitation with either gate, concatenation, split, constants, two linears."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.expand = nn.Conv2d(1, 8, 3, 2, 1), nn.Conv2d(8, 16, 1)
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.mix = nn.Conv2d(12, 8, 1)
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, 8).reshape(8, 1, 1))
        self.hidden, self.norm, self.head = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        features = F.silu(self.expand(F.hardswish(self.stem(image))))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(features, 1))))
        features = features * torch.sigmoid(gate) * F.hardsigmoid(gate)
        first, second = features.chunk(2, 1)
        features = self.mix(torch.cat([first * self.scale, second[:, :4] * 2.0 - 0.5], 1))
        logits: Tensor = self.head(F.relu6(self.norm(self.hidden(features.mean((2, 3))))))
        return logits


def convolve(channels: int, filters: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6."""
    layer = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(filters), nn.ReLU6(inplace=True))


def images(n: int) -> Tensor:
    """(n, 1, 28, 28) in [0, 1]: blobs of different sizes, places and strengths, so that outputs differ."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(n, 1, 5, 5, generator=generator) * torch.rand(n, 1, 1, 1, generator=generator)
    return F.interpolate(coarse, size=(28, 28), mode="bilinear", align_corners=False)


def build(net: type[nn.Module]) -> nn.Module:
    """Seeded random weights with the batch norm statistics of `images`, so that activations neither die nor explode."""
    torch.manual_seed(0)
    model = net()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.momentum = None
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0.0, 0.3)
    with torch.no_grad():
        model.train()(images(64))
    return model.eval()
