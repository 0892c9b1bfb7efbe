"""The standard networks against the counts that their papers and reference implementations publish."""

from __future__ import annotations

import pytest
import torch
from published import CASES, END, START, TABLE, Case, build, count, render
from torch import nn

from compress.models.mlp import mlp
from compress.models.mobilebert import mobilebert
from compress.models.mobilenet_v1 import mobilenet_v1
from compress.models.mobilenet_v2 import mobilenet_v2
from compress.models.mobilenet_v3 import mobilenet_v3
from compress.models.vit import vit


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def parameters_without_batch_norm(model: nn.Module) -> int:
    return parameters(model) - sum(parameters(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counts_equal_the_published_ones(case: Case) -> None:
    assert case.counts.parameters == case.parameters
    if case.macs:
        macs = case.counts.macs + case.per_output * case.counts.outputs
        assert abs(macs - float(case.macs)) < case.allowed


def test_the_page_is_the_table() -> None:
    written = TABLE.read_text().split(START)[1].split(END)[0]
    assert written == render(), "run: python tests/models/published.py"


def test_mlp_parameters_by_hand() -> None:
    """784-1200-1200-10 (Hinton et al. 2015, section 3)."""
    with torch.device("meta"):
        assert parameters(mlp(in_features=784, classes=10)) == 784 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 10 + 10


@pytest.mark.parametrize(
    ("width", "macs"),
    [  # Howard et al. 2017, table 7; TF-Slim's table of MobileNetV1, whose rows of width 0.75 are not the paper's
        (1.0, {192: 418, 160: 290, 128: 186}),
        (0.5, {192: 110, 160: 77, 128: 49}),
        (0.25, {160: 21, 128: 14}),
    ],
)
def test_mobilenet_v1_at_every_published_resolution(width: float, macs: dict[int, int]) -> None:
    for size, millions in macs.items():
        assert count(build(mobilenet_v1, width=width), size).macs / 1e6 == pytest.approx(millions, abs=1)


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
    model = build(mobilenet_v2, width=width)
    assert parameters_without_batch_norm(model) / 1e6 == pytest.approx(millions, abs=0.006)
    for size, expected in macs.items():  # the table cuts off decimals
        assert count(model, size).macs / 1e6 == pytest.approx(expected, rel=0.01, abs=1)


@pytest.mark.parametrize(
    ("size", "width", "macs"), [("large", 1.0, 219), ("large", 0.75, 155), ("small", 1.0, 56), ("small", 0.75, 44)]
)
def test_mobilenet_v3_macs_of_the_paper(size: str, width: float, macs: int) -> None:
    """Howard et al. 2019, table 3."""
    counts = count(build(mobilenet_v3, size=size, width=width), 224)
    assert counts.macs / 1e6 == pytest.approx(macs, rel=0.015)


def test_vit_macs_by_hand() -> None:
    """ViT-Ti/16: patch embedding, twelve blocks of four projections, two products and the perceptron, classifier."""
    tokens, width = 14 * 14 + 1, 192
    block = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * 4 * tokens * width**2
    expected = (tokens - 1) * 3 * 16**2 * width + 12 * block + width * 1000
    assert count(build(vit, image_size=224, patch_size=16), 224).macs == expected


def test_mobilebert_macs_by_hand() -> None:
    """Sun et al. 2020, table 1: bottlenecks, attention and four perceptrons of every layer, and the embedding.

    The paper's 5.7 billion operations (table 4) are 6 % more than twice this.
    """
    tokens, wide, narrow = 128, 512, 128
    attention = tokens * (3 * narrow * narrow + wide * narrow) + 2 * tokens**2 * narrow
    layer = tokens * 3 * wide * narrow + attention + tokens * 4 * 2 * narrow * wide
    (case,) = (case for case in CASES if case.build is mobilebert)
    assert case.counts.macs == tokens * 3 * 128 * wide + 24 * layer


def test_mobilebert_has_the_published_25_million_parameters() -> None:
    """25.3 million (table 4); Hugging Face's module has 24.58, and 24.84 with the layer before its classifier."""
    assert parameters(build(mobilebert)) / 1e6 == pytest.approx(25.3, rel=0.03)


@pytest.mark.parametrize("build_network", [mobilenet_v1, mobilenet_v2, mobilenet_v3])
def test_reduction_is_the_factor_by_which_images_shrink(build_network) -> None:
    for reduction in (32, 16, 8, 4):
        model = build_network(in_channels=1, classes=2, width=0.1, reduction=reduction).eval()
        assert model.blocks(model.stem(torch.zeros(1, 1, 32, 32))).shape[2] == 32 // reduction
