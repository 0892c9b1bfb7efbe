"""Schemes that store weights as integers: NumPy as the oracle of one layer, what stays in float, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compress.errors import ModelError
from compress.models.vit import vit
from compress.quantize import (
    DynamicInt8,
    Float32,
    QuantizedGraph,
    Scheme,
    StaticInt8,
    WeightOnlyInt4,
    WeightOnlyInt8,
    quantize,
)
from compress.quantize.parameters import block_scales, quantize_blocks

ROWS = torch.randn(30, 5, 64, generator=torch.Generator().manual_seed(0)) * 3 - 1


def linear(inputs: int = 64, outputs: int = 7) -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(inputs, outputs)


def buffer(graph: QuantizedGraph, name: str) -> Tensor:
    return dict(graph.module.named_buffers())[name]


def test_a_dynamic_layer_is_integer_arithmetic() -> None:
    model = linear()
    graph = quantize(model, ROWS[:1], DynamicInt8())
    weight = model.weight.detach().double().numpy()
    scale = np.abs(weight).max(1) / 127
    np.testing.assert_allclose(graph.qparams["linear.weight"]["scale"], scale, rtol=1e-6)
    stored_weight = buffer(graph, "weight_q").numpy().astype(np.int64)
    assert np.abs(stored_weight - weight / scale[:, None]).max() <= 0.501

    x = ROWS.numpy()
    low, high = (np.float32(each)[..., None] for each in (np.minimum(x.min(2), 0), np.maximum(x.max(2), 0)))
    step = (high - low) / np.float32(255)
    # Of the two zero points that put an end of the range on a whole step, the one that serves the other end better.
    from_low, from_high = -128 - low / step, 127 - high / step
    zero = np.rint(np.clip(np.where(from_low + from_high < -2, from_low, from_high), -128, 127))
    stored = np.clip(np.rint(x / step + zero), -128, 127).astype(np.int64)
    sums = (stored - zero.astype(np.int64)) @ stored_weight.T
    expected = sums * step * np.float32(scale) + model.bias.detach().numpy()
    got = graph.module(ROWS).detach().numpy()
    assert np.abs(sums).max() < 2**31
    # A value within a float's rounding of a half may be stored one step off: no more than two of 64 in a row here.
    assert np.abs(got - expected).max() <= 2.01 * (step * np.abs(weight).max()).max()
    assert np.isclose(got, expected, rtol=1e-4, atol=1e-4).mean() > 0.99


@pytest.mark.parametrize("scheme", [WeightOnlyInt8(), WeightOnlyInt4(), WeightOnlyInt4(block_size=64)])
def test_weight_only_layers_compute_in_float(scheme: Scheme) -> None:
    model = linear()
    graph = quantize(model, ROWS[:1], scheme)
    integers, scales = buffer(graph, "weight_q").double(), buffer(graph, "weight_scale").double()
    real = (integers.unflatten(1, (scales.numel() // 7, -1)) * scales.reshape(7, -1, 1)).flatten(1)
    torch.testing.assert_close(graph.module(ROWS), nn.functional.linear(ROWS, real.float(), model.bias))
    assert graph.left_in_float == ()


def test_blocks_of_4_bits() -> None:
    weight = torch.randn(10, 96, generator=torch.Generator().manual_seed(2)) * torch.logspace(-9, 2, 10)[:, None]
    weight[3, 32:64] = 0.0
    scales = block_scales(weight, 32)
    integers = quantize_blocks(weight, scales)
    assert (scales.shape, integers.dtype) == ((10, 3), torch.int8)
    assert (int(integers.min()), int(integers.max())) == (-8, 7)
    assert torch.equal(scales, scales.half().float())
    assert torch.equal(scales, scales.bfloat16().float())
    assert bool((scales > 0).all())
    assert bool((integers[3, 32:64] == 0).all())

    blocks = weight.double().unflatten(1, (-1, 32))
    naive = blocks.abs().amax(2, keepdim=True) / 7
    error = (integers.double().unflatten(1, (-1, 32)) * scales.double()[..., None] - blocks).square().sum(2)
    of_naive = ((blocks / naive).nan_to_num().round() * naive - blocks).square().sum(2)
    normal = scales > 2**-14  # below, float16 has fewer bits
    assert bool((error[normal] <= 1.03 * of_naive[normal]).all())  # bfloat16's 8 bits cost a little
    assert float(error[normal].sum()) < 0.9 * float(of_naive[normal].sum())


class Tokens(nn.Module):
    """Ids (n, 4) to (n, 4, 30): a layer with rows of 30, and the table again as the last one's weight."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(30, 64)
        self.odd = nn.Linear(64, 30)
        self.back = nn.Linear(30, 64)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.back(self.odd(self.table(ids))) @ self.table.weight.T
        return logits


def test_embeddings_of_token_ids() -> None:
    model, ids = Tokens(), torch.randint(0, 30, (9, 4), generator=torch.Generator().manual_seed(0))
    graph = quantize(model, ids[:1], WeightOnlyInt8())
    assert sorted(graph.qparams) == ["embedding.weight", "linear.weight", "linear_1.weight", "linear_default.weight"]
    assert len(graph.qparams["embedding.weight"]["scale"]) == 30
    torch.testing.assert_close(graph.module(ids), model(ids), atol=0.15, rtol=0.05)


def test_rows_that_are_no_whole_number_of_blocks_stay_in_float() -> None:
    graph = quantize(Tokens(), torch.zeros(1, 4, dtype=torch.int64), WeightOnlyInt4())
    (left,) = graph.left_in_float  # and not the product with the table
    assert left == ("back (aten.linear.default)", "its rows of 30 values are no whole number of blocks of 32")


def test_a_vision_transformer_keeps_its_patches_and_attention_products_in_float() -> None:
    torch.manual_seed(0)
    model = vit(in_channels=1, classes=5, image_size=14, patch_size=7, width=32, depth=1, heads=2)
    images = torch.randn(8, 1, 14, 14)
    graph = quantize(model, images[:1], DynamicInt8())
    assert [(where, reason.split()[0]) for where, reason in graph.left_in_float] == [
        ("patch_embedding (aten.conv2d.default)", "dynamic_int8"),
        ("blocks.0.attention (aten.matmul.default)", "both"),
        ("blocks.0.attention (aten.matmul.default)", "both"),
    ]
    assert len(graph.qparams) == 7
    nodes = [str(node.target) for node in graph.module.graph.nodes]
    assert nodes.count("quantized_decomposed.quantize_per_token.default") == 5  # query, key and value share one
    exact = quantize(model, images[:1], Float32()).module(images)
    torch.testing.assert_close(graph.module(images), exact, atol=0.02, rtol=0.05)


def test_token_ids_are_not_rounded() -> None:
    ids = torch.zeros(1, 4, dtype=torch.int64)
    with pytest.raises(ModelError, match=r"static_int8 rounds its input.* use dynamic_int8"):
        quantize(Tokens(), ids, StaticInt8(), ids)


def test_torchs_own_attention_is_named() -> None:
    block = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True).eval()
    graph = quantize(block, torch.randn(1, 5, 32), DynamicInt8())
    assert [where for where, _ in graph.left_in_float] == ["self_attn (aten.matmul.default)"] * 2
    assert len(graph.qparams) == 4  # query, key and value in one


@pytest.mark.parametrize(
    ("model", "scheme", "words"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(400, 2)),
            DynamicInt8(),
            r"0 \(aten.conv2d.default\) and 1 more convolutions do 9\d % .* expected linear .* use static_int8",
        ),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()), WeightOnlyInt8(), "finds no linear .* use static_int8"),
        (nn.Sequential(nn.Flatten(), nn.Linear(196, 2)), WeightOnlyInt4(), "weight_only_int4 finds no .* float16"),
    ],
)
def test_refusals(model: nn.Module, scheme: Scheme, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        quantize(model, torch.zeros(1, 1, 14, 14), scheme)
    assert "\n" not in str(caught.value)
