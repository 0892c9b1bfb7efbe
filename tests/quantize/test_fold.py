"""Batch norm folding against torch's own batch norm."""

from __future__ import annotations

import pytest
import torch
from residual_nets import Mobile, Residual, with_statistics
from torch import Tensor, nn

from compress.errors import ModelError
from compress.quantize import Float32, quantize


class TwoReaders(nn.Module):
    """A convolution that batch norm shares with another reader: its weights must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, image: Tensor) -> Tensor:
        features = self.conv(image)
        return self.norm(features) + features


class SharedLayer(nn.Module):
    """One convolution used twice, with a batch norm of its own each time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm1, self.norm2 = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, image: Tensor) -> Tensor:
        return self.norm2(self.conv(self.norm1(self.conv(image))))


CASES = {
    "convolution without bias": (nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)), (3, 8, 8)),
    "convolution with bias": (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)), (3, 8, 8)),
    "depthwise": (nn.Sequential(nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.BatchNorm2d(8)), (4, 8, 8)),
    "same padding": (nn.Sequential(nn.Conv2d(3, 8, 4, padding="same"), nn.BatchNorm2d(8)), (3, 8, 8)),
    "no affine": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, affine=False)), (3, 8, 8)),
    "linear": (nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8)), (3, 2, 2)),
    "nothing before, image": (nn.Sequential(nn.MaxPool2d(2), nn.BatchNorm2d(3)), (3, 8, 8)),
    "nothing before, row": (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12)), (3, 2, 2)),
    "two readers": (TwoReaders(), (3, 8, 8)),
    "shared layer": (SharedLayer(), (3, 8, 8)),
    "mobile": (Mobile(), (1, 28, 28)),
    "residual": (Residual(), (1, 28, 28)),
}


@pytest.mark.parametrize("case", CASES)
def test_folded_graph_equals_the_model(case: str) -> None:
    model, shape = CASES[case]
    images = torch.rand(32, *shape, generator=torch.Generator().manual_seed(0))
    with_statistics(model, images)
    graph = quantize(model, images[:1], Float32()).module
    with torch.no_grad():
        expected, got = model(images), graph(images)
    assert len(expected.unique()) > 20
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=2e-6)
    assert not [node for node in graph.graph.nodes if "batch_norm" in str(node.target)]


def test_batch_norm_of_powers_of_two_folds_exactly() -> None:
    conv, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0.0)
    with torch.no_grad():
        conv.weight.fill_(3.0)
        norm.weight.fill_(8.0)
        norm.bias.fill_(1.0)
        norm.running_mean.fill_(5.0)  # type: ignore[union-attr]
        norm.running_var.fill_(4.0)  # type: ignore[union-attr]
    graph = quantize(nn.Sequential(conv, norm), torch.zeros(1, 1, 1, 1), Float32()).module
    assert {float(value) for value in graph.buffers()} == {12.0, -19.0}  # 3 * 8 / 2 and (0 - 5) * 8 / 2 + 1


def test_batch_statistics_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    with pytest.raises(ModelError, match="statistics of the batch"):
        quantize(model, torch.zeros(1, 1, 4, 4), Float32())
