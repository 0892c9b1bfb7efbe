"""Layers in float: the fewest that a budget needs, against all choices; and what is computed, against torch by hand."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from compress.errors import ModelError
from compress.quantize import (
    Float32,
    LearntRounding,
    MixedInt8,
    QuantizedGraph,
    StaticInt8,
    check_exemptions,
    quantize,
)
from compress.quantize.integers import observe, write
from compress.quantize.mixed import leave_fewest

IMAGES = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))


class Wild(nn.Module):
    """(n, 1, 28, 28) -> (n, 10); in two of the four layers, some weights are hundreds of times the others."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(1, 6, 3, 2), nn.Conv2d(6, 6, 3, 2, groups=2)
        self.third, self.head = nn.Conv2d(6, 8, 1), nn.Linear(8, 10)
        with torch.no_grad():
            for layer in (self.second, self.head):
                layer.weight[:, 0] *= 40

    def forward(self, image: Tensor) -> Tensor:
        features = torch.relu(self.third(torch.relu(self.second(torch.relu(self.first(image))))))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


LAYERS = ("first", "second", "third", "head")
WILD = Wild().eval()


def mixed(**options: Any) -> QuantizedGraph:
    return quantize(WILD, IMAGES[:1], MixedInt8(**options), IMAGES)


@torch.no_grad()
def noise(module: nn.Module) -> float:
    """In dB, by definition."""
    expected, got = WILD(IMAGES).double(), module(IMAGES).double()
    return float(10 * torch.log10(expected.square().sum() / (expected - got).square().sum()))


@functools.cache
def every_choice() -> dict[tuple[str, ...], float]:
    """Layers in float -> noise, for all choices of layers, the smallest first."""
    observed = observe(quantize(WILD, IMAGES[:1], Float32()).module, StaticInt8(), IMAGES)
    nodes = dict(zip(LAYERS, (layer.node.name for layer in observed.plan.layers), strict=True))
    choices = [chosen for count in range(5) for chosen in itertools.combinations(LAYERS, count)]
    graphs = {chosen: write(observed, StaticInt8(), None, {nodes[each]: "" for each in chosen}) for chosen in choices}
    return {chosen: noise(written.graph) for chosen, written in graphs.items()}


def paths(graph: QuantizedGraph) -> list[str]:
    return [where.split(" ")[0] for where, _ in graph.left_in_float]


def test_a_layer_in_float_between_integers_is_what_torch_makes_of_it() -> None:
    graph = mixed(exempt=("second",))
    q = graph.qparams

    def rounded(value: Tensor, name: str) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(value, q[name]["scale"], q[name]["zero_point"], -128, 127)

    def weights(layer: nn.Module) -> Tensor:
        weight = layer.get_parameter("weight")
        scale = weight.detach().abs().flatten(1).amax(1) / 127
        zeros = torch.zeros(len(weight), dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -127, 127)

    with torch.no_grad():
        value = rounded(IMAGES, "input_1")
        value = rounded(torch.relu(nn.functional.conv2d(value, weights(WILD.first), WILD.first.bias, 2)), "relu")
        value = rounded(torch.relu(WILD.second(value)), "relu_1")
        value = rounded(torch.relu(nn.functional.conv2d(value, weights(WILD.third), WILD.third.bias)), "relu_2")
        value = rounded(value.mean((2, 3)), "mean_dim")
        value = rounded(nn.functional.linear(value, weights(WILD.head), WILD.head.bias), "linear")
        plain = quantize(WILD, IMAGES[:1], StaticInt8(), IMAGES)
        apart = [(each.module(IMAGES) - value).abs() > q["linear"]["scale"] / 2 for each in (graph, plain)]
    assert float(apart[0].float().mean()) < 0.05  # ties, of which the head makes several steps
    assert float(apart[1].float().mean()) > 0.2
    assert "conv2d_1.weight" not in q


@pytest.mark.parametrize("exempt", [("first",), ("second", "third"), ("head", "first"), LAYERS])
def test_what_stays_on_integers_keeps_its_scales(exempt: tuple[str, ...]) -> None:
    plain, graph = quantize(WILD, IMAGES[:1], StaticInt8(), IMAGES), mixed(exempt=exempt)
    assert len(graph.qparams) < len(plain.qparams)
    assert all(plain.qparams[name] == entry for name, entry in graph.qparams.items())
    assert sorted(paths(graph)) == sorted(exempt)
    buffers = dict(plain.module.named_buffers())
    stored = {name: value for name, value in graph.module.named_buffers() if value.dtype != torch.float32}
    assert all(torch.equal(buffers[name], value) for name, value in stored.items())


@pytest.mark.parametrize(("budget", "wanted"), [({"sqnr_db": 30}, 0), ({"sqnr_db": 39}, 2), ({"sqnr_db": 40}, 4)])
def test_a_budget_exempts_as_few_layers_as_any_choice_that_keeps_it(budget: dict[str, float], wanted: int) -> None:
    graph = mixed(**budget)
    assert noise(graph.module) >= budget["sqnr_db"]
    fewest = next(len(chosen) for chosen, kept in every_choice().items() if kept >= budget["sqnr_db"])
    assert len(graph.left_in_float) == fewest == wanted


def test_agreement_is_a_budget_too_and_each_exemption_says_why_and_what_it_costs() -> None:
    graph = mixed(agreement=1, sqnr_db=30)
    with torch.no_grad():
        assert torch.equal(graph.module(IMAGES).argmax(1), WILD(IMAGES).argmax(1))
    weights = {"first": 9 * 6, "second": 9 * 3 * 6, "third": 6 * 8, "head": 80}
    outputs = {"first": 13 * 13, "second": 6 * 6, "third": 6 * 6, "head": 1}
    assert graph.left_in_float
    for where, reason in graph.left_in_float:
        assert reason.startswith("exempt to keep sqnr_db 30 and agreement 1: its rounding alone leaves ")
        name = where.split(" ")[0]
        macs = weights[name] * outputs[name]
        costs = f"costs {3 * weights[name]} bytes of weights, and {macs:,} multiply-accumulates are in float"
        assert reason.endswith(f" dB; {costs}")
    assert len(graph.exempt) == len(graph.left_in_float)


def test_repairs_save_exemptions() -> None:
    options = LearntRounding(iterations=60, rows=1000)
    plain = mixed(sqnr_db=38)
    repaired = mixed(sqnr_db=38, rounding=options, bias_correction="calibrated")
    assert noise(repaired.module) >= 38
    assert len(repaired.left_in_float) < len(plain.left_in_float)


def test_a_module_that_is_called_twice_is_exempt_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 3)

        def forward(self, image: Tensor) -> Tensor:
            logits: Tensor = self.layer(torch.relu(self.layer(image)))
            return logits

    graph = quantize(Twice(), IMAGES[:1], MixedInt8(exempt=("layer",)), IMAGES)
    assert paths(graph) == ["layer", "layer"]
    one = quantize(Twice(), IMAGES[:1], MixedInt8(exempt=("conv2d_1",)), IMAGES)  # by its name in the graph
    assert paths(one) == ["layer"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"exempt": ("secnd",)},
            r"exempt: 'secnd' is no convolution or linear layer .* of the 4 that are, such as second",
        ),
        ({"exempt": ("relu",)}, r"exempt: 'relu' is no convolution or linear layer"),
        (
            {"sqnr_db": 150},
            r"cannot keep sqnr_db 150 .* with 4 of 4 layers in float, what else is rounded leaves [45]\d\.\d dB",
        ),
    ],
)
def test_what_cannot_be_exempt(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        mixed(**options)
    assert "\n" not in str(caught.value)


def test_names_are_checked_without_data() -> None:
    check_exemptions(WILD, IMAGES[:1], ["first", "head"])
    with pytest.raises(ModelError, match=r"exempt: 'heads' .* such as head, "):
        check_exemptions(WILD, IMAGES[:1], ["head", "heads"])


@pytest.mark.parametrize("options", [{}, {"exempt": ("head",), "sqnr_db": 20}, {"exempt": ("head",), "agreement": 1}])
def test_a_scheme_has_names_or_a_budget(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected either exempt, or sqnr_db and agreement or one of them"):
        MixedInt8(**options)


class Tried(NamedTuple):
    """Of whole numbers, which stand for layers."""

    exempt: tuple[int, ...]
    reach: float


@pytest.mark.parametrize("seed", range(20))
def test_the_fewest_of_noises_that_add_up(seed: int) -> None:
    """Against every subset; and in a wrong order, the choice is still one of which nothing can be given back."""
    random = torch.Generator().manual_seed(seed)
    noises = (torch.rand(8, generator=random) ** 4).tolist()
    limit = 0.3 * sum(noises)
    seen: list[tuple[int, ...]] = []

    def attempt(exempt: Sequence[int]) -> Tried:
        seen.append(tuple(sorted(exempt)))
        return Tried(tuple(exempt), limit / max(sum(noises) - sum(noises[item] for item in exempt), 1e-9))

    dearest = sorted(range(8), key=lambda item: -noises[item])
    subsets = (chosen for count in range(9) for chosen in itertools.combinations(range(8), count))
    fewest = next(len(chosen) for chosen in subsets if attempt(chosen).reach >= 1)
    seen.clear()
    assert len(leave_fewest(dearest, attempt).exempt) == fewest
    assert len(seen) == len(set(seen))  # each attempt may take minutes
    kept = leave_fewest(torch.randperm(8, generator=random).tolist(), attempt).exempt
    assert attempt(kept).reach >= 1
    assert not any(attempt([each for each in kept if each != item]).reach >= 1 for item in kept)


@pytest.mark.parametrize(
    ("enough", "found"),
    [
        ({(0, 1)}, (0, 1)),  # a beginning, though with all in float it is too little
        ({(0, 1, 3)}, (0, 1, 3)),  # none, but the nearest without one of its own
        (set(), (0, 1, 2, 3)),
    ],
)
def test_noise_that_grows_with_layers_in_float(enough: set[tuple[int, ...]], found: tuple[int, ...]) -> None:
    seen: list[tuple[int, ...]] = []

    def attempt(exempt: Sequence[int]) -> Tried:
        seen.append(tuple(exempt))
        return Tried(tuple(exempt), 1.0 if tuple(exempt) in enough else 0.9 + len(exempt) / 100)

    assert leave_fewest(range(4), attempt).exempt == found
    assert len(seen) == len(set(seen))


def test_what_repairs_have_learnt_is_judged_on_other_images() -> None:
    """A linear layer with more inputs than it sees images learns these by heart, and looks better on them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(576, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    with torch.no_grad():
        model[1].weight[:, ::16] *= 30  # so that the steps of the others are coarse
    seen, unseen = torch.rand(96, 1, 24, 24), torch.rand(512, 1, 24, 24)

    @torch.no_grad()
    def decibels(graph: QuantizedGraph, images: Tensor) -> float:
        expected, got = model(images).double(), graph.module(images).double()
        return float(10 * torch.log10(expected.square().sum() / (expected - got).square().sum()))

    static = quantize(model, seen[:1], StaticInt8(rounding=LearntRounding()), seen)
    asked = (decibels(static, seen) + decibels(static, unseen)) / 2
    found = quantize(model, seen[:1], MixedInt8(rounding=LearntRounding(), sqnr_db=asked), seen)
    assert found.exempt == ("linear",)
    assert decibels(found, unseen) > asked
