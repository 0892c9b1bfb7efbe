"""The standard networks against the counts that their papers and reference implementations publish.

Built on torch's meta device: shapes without numbers, so that a forward pass of ViT-B costs nothing.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compress.models.mlp import mlp
from compress.models.mobilenet_v2 import mobilenet_v2
from compress.models.mobilenet_v3 import mobilenet_v3
from compress.models.vit import vit


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def parameters_without_batch_norm(model: nn.Module) -> int:
    return parameters(model) - sum(parameters(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def million_macs(model: nn.Module, size: int) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return counter.get_total_flops() / 2e6


def published(build, **arguments: object) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = build(in_channels=3, classes=1000, **arguments)
    return model


@pytest.mark.parametrize(
    ("build", "arguments", "count"),
    [
        # torchvision's documentation of its weights.
        (mobilenet_v2, {}, 3_504_872),
        (mobilenet_v3, {"size": "large"}, 5_483_032),
        (mobilenet_v3, {"size": "small"}, 2_542_856),
        # timm's models of the same names.
        (mobilenet_v2, {"width": 0.35}, 1_677_128),
        (mobilenet_v2, {"width": 1.4}, 6_108_776),
        (mobilenet_v3, {"size": "large", "width": 0.75}, 3_993_528),
        (mobilenet_v3, {"size": "small", "width": 0.75}, 2_041_872),
        (vit, {"image_size": 224, "patch_size": 16}, 5_717_416),
        (vit, {"image_size": 224, "patch_size": 16, "width": 384, "heads": 6}, 22_050_664),
        (vit, {"image_size": 224, "patch_size": 16, "width": 768, "heads": 12}, 86_567_656),
    ],
)
def test_parameters_equal_the_published_count(build, arguments: dict[str, object], count: int) -> None:
    assert parameters(published(build, **arguments)) == count


def test_mlp_parameters_by_hand() -> None:
    """784-1200-1200-10 (Hinton et al. 2015, section 3)."""
    with torch.device("meta"):
        assert parameters(mlp(in_features=784, classes=10)) == 784 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 10 + 10


@pytest.mark.parametrize(
    ("width", "millions", "macs"),
    [  # TF-Slim's table of MobileNetV2: millions of weights and biases, and millions of MACs at a resolution
        (1.4, 6.06, {224: 582}),
        (1.3, 5.34, {224: 509}),
        (1.0, 3.47, {224: 300, 96: 56}),
        (0.75, 2.61, {160: 107}),
        (0.5, 1.95, {192: 71}),
        (0.35, 1.66, {128: 20}),
    ],
)
def test_mobilenet_v2_at_every_published_width(width: float, millions: float, macs: dict[int, int]) -> None:
    model = published(mobilenet_v2, width=width)
    assert parameters_without_batch_norm(model) / 1e6 == pytest.approx(millions, abs=0.006)
    for size, count in macs.items():
        assert million_macs(model, size) == pytest.approx(count, rel=0.01, abs=1)  # the table cuts off decimals


@pytest.mark.parametrize(
    ("size", "width", "macs"), [("large", 1.0, 219), ("large", 0.75, 155), ("small", 1.0, 56), ("small", 0.75, 44)]
)
def test_mobilenet_v3_macs_of_the_paper(size: str, width: float, macs: int) -> None:
    """Howard et al. 2019, table 3."""
    assert million_macs(published(mobilenet_v3, size=size, width=width), 224) == pytest.approx(macs, rel=0.015)


def test_vit_macs_by_hand() -> None:
    """ViT-Ti/16: patch embedding, twelve blocks of four projections, two products and the perceptron, classifier."""
    tokens, width = 14 * 14 + 1, 192
    block = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * 4 * tokens * width**2
    expected = (tokens - 1) * 3 * 16**2 * width + 12 * block + width * 1000
    assert million_macs(published(vit, image_size=224, patch_size=16), 224) == pytest.approx(expected / 1e6)


@pytest.mark.parametrize("build", [mobilenet_v2, mobilenet_v3])
def test_reduction_is_the_factor_by_which_images_shrink(build) -> None:
    for reduction in (32, 16, 8, 4):
        model = build(in_channels=1, classes=2, width=0.1, head=8, reduction=reduction).eval()
        assert model.blocks(model.stem(torch.zeros(1, 1, 32, 32))).shape[2] == 32 // reduction
