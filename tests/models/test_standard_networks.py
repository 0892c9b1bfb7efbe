"""Tiny instances of the standard networks: they train, repeat, refuse what cannot work, and export to both formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.errors import ModelError
from compress.export import export
from compress.models.inverted_residual import InvertedResidual, SqueezeExcitation, Stage, relu6, stack
from compress.models.mlp import mlp
from compress.models.mnasnet import mnasnet
from compress.models.mobilebert import mobilebert
from compress.models.mobilenet_v1 import mobilenet_v1
from compress.models.mobilenet_v2 import mobilenet_v2
from compress.models.mobilenet_v3 import Bottleneck, MobileNetV3, mobilenet_v3
from compress.models.shufflenet_v2 import shufflenet_v2
from compress.models.vit import vit
from compress.quantize import Float32, quantize
from compress.targets import decode, encode, open_session

ROWS = (
    Bottleneck(3, 8, 8, False, False, 1),
    Bottleneck(3, 24, 12, True, False, 2),
    Bottleneck(5, 48, 12, True, True, 1),
)
STAGES = (Stage(expansion=1, channels=8), Stage(expansion=6, channels=12, blocks=2, stride=2))
TINY: dict[str, Callable[[], nn.Module]] = {  # few blocks of every kind, because exporting takes time by the operator
    "mobilenet_v2": lambda: stack(1, 4, STAGES, stem=8, head=16, activation=relu6, dropout=0.1),
    "mobilenet_v3": lambda: MobileNetV3(1, 4, 8, 2, ROWS, head=16, dropout=0.1),
    "vit": lambda: vit(in_channels=1, classes=4, image_size=12, patch_size=4, width=16, depth=2, heads=2),
    "mlp": lambda: mlp(in_features=144, classes=4, widths=(24, 16), dropout=0.1, input_dropout=0.1),
}


def images(n: int) -> Tensor:
    """Of different strengths, so that outputs differ."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 1, 12, 12, generator=generator) * torch.rand(n, 1, 1, 1, generator=generator)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return TINY[name]()


def train(model: nn.Module, steps: int) -> list[float]:
    """The loss of each step on sixteen images with arbitrary labels."""
    torch.manual_seed(0)
    batch, labels = images(16), torch.arange(16) % 4
    optimizer = torch.optim.Adam(model.train().parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses


@pytest.mark.parametrize("name", TINY)
def test_a_few_steps_lower_the_loss(name: str) -> None:
    losses = train(build(name), 30)
    assert losses[0] < 2.0  # the classes start about even: ln 4 = 1.39
    assert sum(losses[-3:]) / 3 < 0.75 * losses[0]


@pytest.mark.parametrize("name", TINY)
def test_the_seed_decides_the_weights_and_the_training(name: str) -> None:
    one, two = build(name), build(name)
    assert train(one, 3) == train(two, 3)
    assert all(torch.equal(one.state_dict()[key], value) for key, value in two.state_dict().items())


@pytest.mark.parametrize("name", TINY)
def test_every_parameter_learns(name: str) -> None:
    """A layer that the forward pass forgets has no gradient."""
    model = build(name)
    F.cross_entropy(model(images(16)), torch.arange(16) % 4).backward()
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("name", TINY)
def test_untrained_features_keep_their_scale(name: str) -> None:
    """Initialisation: what reaches the classifier as training starts neither dies nor explodes, and tells images apart.

    Not in evaluation mode, where batch norms that have seen no batch scale nothing.
    """
    model = build(name)
    seen: list[Tensor] = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model(images(16))
    assert 1e-3 < float(seen[0].std(0).mean()) < 5


def settle(model: nn.Module) -> nn.Module:
    """As after a long training: batch norms that know their statistics and scale, logits that tell images apart."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    with torch.no_grad():
        model.train()(images(64))
    for name in ("head.0", "classifier"):  # these start with small weights
        if name in dict(model.named_modules()) and isinstance(layer := model.get_submodule(name), nn.Linear):
            nn.init.normal_(layer.weight, std=0.5)
    return model.eval()


@pytest.mark.parametrize("name", TINY)
def test_both_formats_compute_what_torch_computes(name: str, tmp_path: Path) -> None:
    model, batch = settle(build(name)), images(8)
    with torch.no_grad():
        expected = model(batch).numpy()
    assert expected.std(0).min() > 0.01
    graph = quantize(model, batch[:1], Float32())
    with open_session("host", tmp_path) as host:
        for fmt in ("onnx", "tflite"):
            file = tmp_path / f"model.{fmt}"
            export(graph.module, graph.precision, fmt, file, batch[:1])
            info = host.describe(file)
            outputs = decode(info.outputs[0], host.run(file, encode(info.inputs[0], batch.numpy())))
            np.testing.assert_allclose(outputs, expected, atol=1e-4, err_msg=fmt)


@pytest.mark.parametrize(
    ("block", "changing"),
    [
        (InvertedResidual(8, 48, 8), InvertedResidual(8, 48, 8, stride=2)),
        (InvertedResidual(8, 8, 8, kernel=5), InvertedResidual(8, 8, 12, kernel=5)),
    ],
)
def test_a_block_adds_to_its_input_where_the_shape_stays(block: nn.Module, changing: nn.Module) -> None:
    """With a projection that gives nothing, the shortcut alone is left."""
    image = torch.rand(2, 8, 6, 6)
    for inverted_residual in (block, changing):
        nn.init.zeros_(inverted_residual.get_submodule("project.1").weight)
    assert torch.equal(block(image), image)
    assert not changing(image).any()


def test_squeeze_excitation_opens_and_closes_channels() -> None:
    """The gate is hard-sigmoid, relu6(x + 3) / 6: shut at -3, half open at 0, open at 3."""
    layer, image = SqueezeExcitation(3, 2, nn.Hardsigmoid), torch.rand(2, 3, 4, 4)
    nn.init.zeros_(layer.excite.weight)
    layer.excite.bias = nn.Parameter(torch.tensor([-3.0, 0.0, 3.0]))
    torch.testing.assert_close(layer(image), image * torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1))


def test_mlp_takes_rows_and_images_alike() -> None:
    model = build("mlp").eval()
    assert torch.equal(model(images(3)), model(images(3).reshape(3, 144)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vit(in_channels=1, classes=4, image_size=28, patch_size=16), "patch_size is 16 and image_size 28"),
        (lambda: vit(in_channels=1, classes=4, image_size=28, patch_size=0), "patch_size is 0"),
        (lambda: vit(in_channels=1, classes=4, image_size=28, patch_size=7, width=64), "width is 64 and heads 3"),
        (lambda: build("vit")(torch.zeros(1, 1, 16, 12)), "16 x 12 pixels; expected 12 x 12"),
        (lambda: build("mlp")(torch.zeros(2, 1, 28, 28)), "784 features .*expected 144"),
        (lambda: mobilenet_v1(in_channels=1, classes=4, width=0), "mobilenet_v1: width is 0"),
        (lambda: mobilenet_v2(in_channels=1, classes=4, width=0), "width is 0"),
        (lambda: shufflenet_v2(in_channels=1, classes=4, width=0.75), "width is 0.75; expected 0.5, 1, 1.5 or 2"),
        (lambda: mnasnet(in_channels=1, classes=4, width=-0.5), "mnasnet: width is -0.5"),
        (lambda: mobilebert(classes=4, bottleneck=10), "bottleneck is 10 and heads 4"),
        (
            lambda: mobilebert(classes=4, depth=1, max_tokens=3)(torch.zeros(1, 4, dtype=torch.long)),
            "4 tokens; .* most 3",
        ),
        (lambda: mobilenet_v3(in_channels=1, classes=4, width=-1), "width is -1"),
        (lambda: mobilenet_v2(in_channels=1, classes=4, reduction=6), "reduction is 6; expected 4, 8, 16 or 32"),
        (lambda: mobilenet_v3(in_channels=1, classes=4, reduction=64), "reduction is 64"),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make()
