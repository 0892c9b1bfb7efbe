"""Mixed precision: which operations leave float32, and which must not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compress.distill import Schedule, choose_device, logits_of
from compress.distill.device import Device

BF16 = Device(name="cpu", bf16=True, threads=1)
FLOAT32 = Device(name="cpu", bf16=False, threads=1)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(4, 8, 3), (2, 4, 8, 8), torch.bfloat16),
        (nn.Conv2d(4, 8, 3, groups=4), (2, 4, 8, 8), torch.float32),
        (nn.Conv2d(4, 8, 3, groups=2, padding="same", padding_mode="circular"), (2, 4, 8, 8), torch.float32),
        (nn.Conv1d(4, 4, 3, groups=4), (2, 4, 8), torch.float32),
        (nn.Linear(4, 8), (2, 4), torch.bfloat16),
    ],
)
def test_grouped_convolutions_stay_in_float32(layer: nn.Module, shape: tuple[int, ...], expected: torch.dtype) -> None:
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with BF16.autocast():
        out = layer(inputs)
    assert out.dtype == expected
    if expected == torch.float32:
        assert torch.equal(out, layer(inputs))


def test_a_grouped_convolution_takes_what_autocast_hands_it() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1))
    inputs = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    with BF16.autocast():
        out = net(inputs)
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert [parameter.grad.dtype for parameter in net.parameters()] == [torch.float32] * 6  # type: ignore[union-attr]
    assert (out.float() - net(inputs)).abs().max() < 0.05


def test_the_functional_form_by_keyword() -> None:
    weight, inputs = torch.ones(4, 1, 3, 3), torch.ones(1, 4, 5, 5, dtype=torch.bfloat16)
    with BF16.autocast():
        assert torch.nn.functional.conv2d(input=inputs, weight=weight, groups=4).dtype == torch.float32


def test_float32_leaves_everything() -> None:
    with FLOAT32.autocast():
        assert nn.Linear(4, 8)(torch.randn(2, 4)).dtype == torch.float32
    assert choose_device("float32").bf16 is False
    assert Schedule(epochs=1, batch_size=1, learning_rate=1).precision == "auto"


def test_a_model_is_measured_in_float32() -> None:
    net, inputs = nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), torch.rand(4, 1, 6, 6)
    with torch.no_grad():
        assert torch.equal(logits_of(net, inputs, BF16), net(inputs))
