"""Networks with random weights are sane, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from compress.models.mobilebert import mobilebert
from compress.models.mobilenet_v1 import mobilenet_v1
from compress.models.random_weights import draw_weights, smooth_images
from compress.models.resnet_v1 import resnet_v1
from compress.models.squeezenet import squeezenet
from compress.models.vit import vit

CLASSES = 100
IDS = torch.randint(0, 50, (4, 12), generator=torch.Generator().manual_seed(0))
NETWORKS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "mobilenet_v1": (lambda: mobilenet_v1(in_channels=3, classes=CLASSES, width=0.25), smooth_images(4, (3, 64, 64))),
    "resnet_v1": (lambda: resnet_v1(in_channels=3, classes=CLASSES, depth=18), smooth_images(4, (3, 64, 64))),
    "squeezenet": (lambda: squeezenet(in_channels=3, classes=CLASSES), smooth_images(4, (3, 64, 64))),
    "vit": (
        lambda: vit(in_channels=3, classes=CLASSES, image_size=32, patch_size=8, width=64, depth=12, heads=2),
        smooth_images(4, (3, 32, 32)),
    ),
    "mobilebert": (lambda: mobilebert(classes=CLASSES, vocabulary=50, width=64, bottleneck=16), IDS),
}


def run(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return model(inputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_vanishes_explodes_or_collapses(name: str) -> None:
    make, inputs = NETWORKS[name]
    model = draw_weights(make(), inputs)
    spread: dict[str, float] = {}
    for path, layer in model.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda _, __, out, path=path: spread.update({path: float(out.std())}))
    logits = run(model, inputs)
    assert not model.training
    assert {path: size for path, size in spread.items() if not 0.01 < size < 30} == {}
    assert min(len(row.unique()) for row in logits) > 0.5 * CLASSES
    assert logits.std(0).mean() > 0.02


def test_the_seed_alone_decides() -> None:
    make, inputs = NETWORKS["mobilenet_v1"]
    torch.manual_seed(1)
    first = draw_weights(make(), inputs, seed=3)
    torch.manual_seed(2)
    second = draw_weights(draw_weights(make(), inputs, seed=9), inputs, seed=3)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert not torch.equal(run(first, inputs), run(draw_weights(make(), inputs, seed=4), inputs))


def test_the_model_trains_on_as_before() -> None:
    """No hook is left, and batch norms mix statistics again."""
    make, inputs = NETWORKS["mobilenet_v1"]
    model = draw_weights(make(), inputs)
    assert {norm.momentum for norm in model.modules() if isinstance(norm, nn.BatchNorm2d)} == {0.1}
    assert not any(layer._forward_hooks for layer in model.modules())


def test_images_are_smooth_and_differ() -> None:
    images = smooth_images(3, (1, 28, 28), seed=5)
    assert images.shape == (3, 1, 28, 28)
    assert images.min() >= 0
    assert images.max() <= 1
    assert torch.equal(images, smooth_images(3, (1, 28, 28), seed=5))
    assert images.diff(dim=3).abs().mean() < 0.3 * images.std()
    assert (images[0] - images[1]).abs().mean() > 0.05
