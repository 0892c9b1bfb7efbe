"""Learnt rounding and bias correction on small layers, against exhaustive search and against means."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest
import torch
from residual_nets import Mobile, Residual, with_statistics
from torch import Tensor, nn

from compress.quantize import LearntRounding, QuantizedGraph, StaticInt8, quantize, repair
from compress.quantize.rounding import Reconstruction, learn_rounding
from compress.quantize.windows import draw_windows

RANDOM = torch.Generator().manual_seed(0)
IMAGES = torch.rand(48, 1, 28, 28, generator=RANDOM)


def reconstruction(taps: int, filters: int, groups: int = 1) -> tuple[Reconstruction, Tensor, Tensor]:
    """Correlated rows, as of neighbouring pixels: there independent rounding errors add up."""
    rows = torch.rand(groups, 400, 1, generator=RANDOM) + 0.1 * torch.rand(groups, 400, taps, generator=RANDOM)
    weight = torch.randn(groups, filters, taps, generator=RANDOM)
    scales = weight.abs().amax(2, keepdim=True) / 15
    bias = torch.randn(groups, 1, filters, generator=RANDOM)
    targets = torch.relu(torch.baddbmm(bias, rows, weight.transpose(1, 2)))
    return Reconstruction(rows=rows, targets=targets, bias=bias, activation=torch.relu), weight, scales


def test_learnt_rounding_comes_near_the_best_of_all_choices() -> None:
    task, weight, scales = reconstruction(taps=8, filters=24)
    learnt = learn_rounding(task, weight, scales, LearntRounding())
    choices = torch.tensor(list(itertools.product((0.0, 1.0), repeat=8)))
    floors = (weight / scales).floor()
    errors = torch.stack([task.error((floors + choice) * scales)[0] for choice in choices])
    nearest, found = (task.error(stored * scales)[0] for stored in ((weight / scales).round(), learnt))
    fires = nearest > 0
    assert int(fires.sum()) > 8
    assert bool((found >= errors.amin(0) * (1 - 1e-4)).all())
    assert float(found.sum()) < 0.5 * float(nearest.sum())
    assert float(found.sum()) < 1.5 * float(errors.amin(0).sum())


@pytest.mark.parametrize(("taps", "filters", "groups"), [(9, 1, 6), (12, 5, 1), (4, 3, 2)])
def test_learnt_rounding_is_never_worse_and_at_most_one_step_from_nearest(taps: int, filters: int, groups: int) -> None:
    task, weight, scales = reconstruction(taps, filters, groups)
    for iterations in (1, 100):
        learnt = learn_rounding(task, weight, scales, LearntRounding(iterations=iterations))
        nearest = (weight / scales).round()
        assert bool((task.error(learnt * scales) <= task.error(nearest * scales)).all())
        assert float((learnt - nearest).abs().max()) <= 1
        assert torch.equal(learnt, learnt.round())
        assert float(learnt.abs().max()) <= 127


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 8, 3, 2, 1),
        nn.Conv2d(6, 6, (3, 5), 1, (1, 2), groups=6),
        nn.Conv2d(6, 4, 3, 1, 0, dilation=2, groups=2),
        nn.Conv2d(6, 4, 1),
    ],
)
def test_windows_times_weights_are_the_layers_outputs(layer: nn.Conv2d) -> None:
    images = torch.rand(3, 6, 9, 10, generator=RANDOM)
    graph = quantize(nn.Sequential(layer), images[:1], StaticInt8(), images)
    (node,) = (node for node in graph.module.graph.nodes if "conv2d" in str(node.target))
    with torch.no_grad():
        outputs = layer(images)
        windows = draw_windows(node, layer.weight.shape, images, 1000, torch.Generator().manual_seed(1))
        weight = layer.weight.reshape(layer.groups, layer.out_channels // layer.groups, -1)
        products = torch.bmm(windows, weight.transpose(1, 2)).transpose(0, 1).flatten(1) + layer.bias
    places = torch.randperm(outputs[0, 0].numel(), generator=torch.Generator().manual_seed(1))
    expected = outputs.flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(products, expected, rtol=1e-4, atol=1e-5)


def noise(model: nn.Module, scheme: StaticInt8) -> tuple[float, QuantizedGraph]:
    graph = quantize(model, IMAGES[:1], scheme, IMAGES)
    with torch.no_grad():
        return float((graph.module(IMAGES) - model(IMAGES)).square().mean()), graph


@pytest.mark.parametrize("net", [Mobile, Residual])
def test_repair_lowers_the_noise_and_keeps_every_scale(net: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = with_statistics(net(), IMAGES)
    options = LearntRounding(iterations=100, rows=1000)
    plain, graph = noise(model, StaticInt8())
    for scheme in (StaticInt8(rounding=options), StaticInt8(rounding=options, bias_correction="calibrated")):
        repaired, other = noise(model, scheme)
        assert repaired < plain
        assert other.qparams == graph.qparams
        assert repaired == noise(model, scheme)[0]  # the same seed gives the same integers


def test_a_killed_run_goes_on_to_the_same_integers(tmp_path: Path) -> None:
    """Layer by layer: what is done is not learnt again, what the disk has spoilt is."""
    torch.manual_seed(0)
    model = with_statistics(Mobile(), IMAGES)
    scheme = StaticInt8(rounding=LearntRounding(iterations=20, rows=200), bias_correction="calibrated")

    def learn(stop: int = 100) -> tuple[list[int], Tensor]:
        told: list[int] = []

        def advance(done: int, total: int, layer: str) -> None:
            assert done < total
            assert layer
            told.append(done)
            if len(told) > stop:
                raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            graph = quantize(model, IMAGES[:1], scheme, IMAGES, checkpoint=tmp_path, advance=advance)
            return told, torch.cat([each.double().flatten() for each in graph.module.buffers()])
        return told, torch.zeros(0)

    expected = torch.cat([e.double().flatten() for e in quantize(model, IMAGES[:1], scheme, IMAGES).module.buffers()])
    learn(stop=2)
    assert len(list(tmp_path.iterdir())) == 2
    spoilt = min(tmp_path.iterdir())
    spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"?")
    told, integers = learn()
    assert len(told) == len(list(tmp_path.iterdir())) - 1
    assert told[-1] == len(told)
    assert torch.equal(integers, expected)
    again, integers = learn()
    assert again == []
    assert torch.equal(integers, expected)


def test_threads_are_shared_by_the_largest_operation_learning_included(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a batch of 16 images, and of the rows that learn: the latter are more where a layer sees an image once."""
    asked: list[int] = []

    def note(macs: int) -> contextlib.AbstractContextManager[None]:
        asked.append(macs)
        return contextlib.nullcontext()

    monkeypatch.setattr(repair, "threads_for", note)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    for rounding, rows in ((None, 16), (LearntRounding(iterations=1, batch_size=40), 40)):
        quantize(model, IMAGES[:1], StaticInt8(rounding=rounding, bias_correction="calibrated"), IMAGES)
        assert asked.pop() == rows * 784 * 10
    assert not asked


class Biasless(nn.Module):
    """(n, 1, 28, 28) -> (n, 4); one convolution and one linear layer without bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.head = nn.Conv2d(1, 6, 5, 2, bias=False), nn.Linear(6, 4, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.conv(image).mean((2, 3)))
        return logits


@pytest.mark.parametrize("model", [Biasless(), nn.Conv2d(1, 6, 3, 2), nn.Sequential(nn.Flatten(), nn.Linear(784, 5))])
def test_bias_correction_takes_the_mean_error_of_every_channel_away(model: nn.Module) -> None:
    with torch.no_grad():
        expected = model(IMAGES)
        axes = [axis for axis in range(expected.dim()) if axis != 1]
        graphs = [quantize(model, IMAGES[:1], StaticInt8(bias_correction=on), IMAGES) for on in (None, "calibrated")]  # type: ignore[arg-type]
        before, after = ((graph.module(IMAGES) - expected).mean(axes).abs() for graph in graphs)
    step = [entry["scale"] for name, entry in graphs[1].qparams.items() if "." not in name][-1]
    assert float(before.max()) > 0.2 * step
    assert float(after.max()) < 0.2 * step  # what is left is the mean of rounding the output itself
    assert float(after.mean()) < 0.5 * float(before.mean())


def test_a_filter_of_zeros_and_a_saturated_one_stay_finite() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU6(), nn.Conv2d(4, 3, 1))
    with torch.no_grad():
        model[0].weight[0], model[0].weight[1] = 0.0, 1e-30  # type: ignore[operator]
        model[0].weight[2] *= 1e4  # type: ignore[operator, index]
    scheme = StaticInt8(
        clamp_dead_channels=True,
        equalise=True,
        bias_correction="calibrated",
        calibration="mse",
        rounding=LearntRounding(iterations=20, rows=200),
    )
    repaired, graph = noise(model, scheme)
    assert repaired < 0.01
    assert torch.isfinite(graph.module(IMAGES)).all()
