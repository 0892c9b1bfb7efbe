"""Small networks with the structures of real ones, and sane batch norm statistics for random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Separable(nn.Module):
    """Depthwise and pointwise convolution with ReLU6; a residual where the shapes allow it."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, filters, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        self.act = nn.ReLU6(inplace=True)
        self.residual = stride == 1 and channels == filters

    def forward(self, image: Tensor) -> Tensor:
        new = self.act(self.norm2(self.pointwise(self.act(self.norm1(self.depthwise(image))))))
        return image + new if self.residual else new


class Mobile(nn.Module):
    """(n, 1, 28, 28) -> (n, 10); stride 2 stem, residual additions, dropout, global average pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(inplace=True))
        self.blocks = nn.Sequential(Separable(8, 16, 1), Separable(16, 16, 1), Separable(16, 24, 2))
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(24, 10)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.blocks(self.stem(image)).mean((2, 3))))
        return logits


class Basic(nn.Module):
    """The basic block of He et al. 2016: addition, then ReLU; a 1x1 convolution where the shapes differ."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.norm2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters)
        shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))
        self.shortcut = nn.Identity() if stride == 1 and channels == filters else shortcut

    def forward(self, image: Tensor) -> Tensor:
        new = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(image)))))
        return torch.relu(new + self.shortcut(image))


class Residual(nn.Module):
    """(n, 1, 28, 28) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(Basic(8, 8, 1), Basic(8, 16, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        features = self.pool(self.blocks(torch.relu(self.norm(self.stem(image)))))
        logits: Tensor = self.head(torch.flatten(features, 1))
        return logits


def with_statistics(model: nn.Module, images: Tensor) -> nn.Module:
    """The model in eval mode, its batch norms with random affine parameters and the statistics of `images`.

    Without them a random network gives nearly the same logits for every image, and comparisons pass vacuously.
    """
    generator = torch.Generator().manual_seed(5)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.momentum = None  # cumulative average: one pass gives the statistics of that pass
            if norm.affine:
                nn.init.uniform_(norm.weight, 0.5, 1.5, generator=generator)
                nn.init.normal_(norm.bias, 0.0, 0.3, generator=generator)
    with torch.no_grad():
        model.train()(images)
    return model.eval()
