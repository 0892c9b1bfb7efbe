"""What `quantize` accepts, refuses and leaves alone."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from residual_nets import Separable, with_statistics
from torch import Tensor, nn

from compress.errors import ModelError
from compress.quantize import Float32, StaticInt8, quantize

IMAGES = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))


class Branching(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image if image.sum() > 0 else -image


class Selecting(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image[image > 0]


class HardWired(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.reshape(2, 784)


class Pair(nn.Module):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return image, image + 1


class Poisoned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, 2, 1)
        nn.init.constant_(self.head.weight, torch.nan)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.head(image)
        return features


class Colliding(nn.Module):
    """Two parameters whose dotted names become the same word."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Module()
        self.a.register_buffer("b_c", torch.tensor(2.0))
        self.a_b = nn.Module()
        self.a_b.register_buffer("c", torch.tensor(3.0))

    def forward(self, image: Tensor) -> Tensor:
        return image * self.a.b_c - self.a_b.c


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Branching(), r"refuses Branching .*test_capture.py:\d+ .return image if .*torch.where"),
        (
            Selecting(),
            r"aten.index.Tensor in Selecting, at .*test_capture.py:\d+ .return image.image > 0.*multiply by a mask",
        ),
        (HardWired(), "refuses HardWired .*specialized it to be a constant .2.*the batch size from the input's shape"),
        (Pair(), "returns 2 values"),
        (Poisoned(), "head.weight holds NaN"),
        (nn.Conv2d(3, 2, 1), "torch.export refuses Conv2d"),  # three channels wanted, one given
    ],
)
def test_refusals_have_one_line_and_a_reason(model: nn.Module, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        quantize(model, IMAGES[:1], Float32())
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


def test_activations_that_are_never_finite_are_named() -> None:
    class Overflowing(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.exp(image * 1e4)

    with pytest.raises(ModelError, match=r"aten.exp.default. produces NaN or infinity"):
        quantize(nn.Sequential(Overflowing(), nn.Conv2d(1, 1, 1)), IMAGES[:1], StaticInt8(), IMAGES)


@pytest.mark.parametrize("last", [nn.Identity(), nn.Conv2d(1, 2, 3)])
def test_nan_that_begins_in_an_operator_left_in_float_is_named_there(last: nn.Module) -> None:
    class Logarithm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = last

        def forward(self, image: Tensor) -> Tensor:
            logits: Tensor = self.last(torch.relu(torch.log(image - 5)))
            return logits

    with pytest.raises(ModelError, match=r"aten.log.default. produces NaN or infinity on the calibration set"):
        quantize(Logarithm(), IMAGES[:1], StaticInt8(), IMAGES)


def test_the_model_is_left_untouched() -> None:
    model = with_statistics(Separable(1, 4, 2), IMAGES)
    model.act.train()  # type: ignore[union-attr]
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    graph = quantize(model, IMAGES[:1], StaticInt8(), IMAGES).module
    for buffer in graph.buffers():
        buffer.zero_()
    assert [module.training for module in model.modules()] == modes
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_names_that_collide_stay_apart() -> None:
    graph = quantize(Colliding(), IMAGES[:1], Float32()).module
    torch.testing.assert_close(graph(IMAGES), IMAGES * 2 - 3)


def test_a_graph_survives_pickling_with_its_integers() -> None:
    quantized = quantize(with_statistics(Separable(1, 4, 2), IMAGES), IMAGES[:1], StaticInt8(), IMAGES)
    file = io.BytesIO()
    torch.save(quantized, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded.module(IMAGES), quantized.module(IMAGES))
    nodes = [str(node.target) for node in loaded.module.graph.nodes]
    assert nodes.count("quantized_decomposed.dequantize_per_channel.default") == 4  # two layers, weight and bias
    assert (loaded.qparams, loaded.scheme) == (quantized.qparams, quantized.scheme)
