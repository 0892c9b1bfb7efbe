"""Weights for a network that nobody has trained: none of its activations vanish, none explode, and its logits differ.

Such a network is as good as a trained one for timing and for counting, and its files can be compared with torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

_COARSE = 7  # height and width of the noise that is blown up to an image


def smooth_images(n: int, shape: Sequence[int], *, seed: int = 0) -> Tensor:
    """Noise in [0, 1] that varies slowly over the image; of different contrast, so that outputs differ.

    Args:
        n: how many.
        shape: (channels, height, width).
        seed: decides every number.
    """
    generator = torch.Generator().manual_seed(seed)
    channels, *size = shape
    noise = torch.rand(n, channels, _COARSE, _COARSE, generator=generator)
    contrast = 0.25 + 0.75 * torch.rand(n, 1, 1, 1, generator=generator)
    return F.interpolate(noise * contrast, size=size, mode="bilinear", align_corners=False)


def draw_weights(model: nn.Module, inputs: Tensor, *, seed: int = 0) -> nn.Module:
    """Give every layer random weights, scaled on `inputs` so that its outputs have a variance of 1; in place.

    One pass through the layers (Mishkin and Matas 2016, arXiv 1511.06422), in which batch norms take the statistics of
    what they see.

    Args:
        model: changed, and left in evaluation mode.
        inputs: (n, ...) as the model takes them; a few suffice.
        seed: decides every weight, whatever the weights were before.

    Returns:
        The model.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        _draw(layer, generator)
    norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    hooks = [
        layer.register_forward_hook(_scale_to_one)
        for layer in model.modules()
        if isinstance(layer, nn.Linear | _ConvNd)
    ]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the statistics of one batch, unmixed
        norm.train()
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return model.eval()


def _draw(layer: nn.Module, generator: torch.Generator) -> None:
    """Weights around 0, gains and batch norms' offsets around 1, of any size where `_scale_to_one` follows.

    Two choices keep int8's rounding from growing a hundredfold on its way through the network. Most units are on:
    batch norm and units that are off half of the time amplify every difference, by 1.7 dB a layer (Yang et al. 2019,
    arXiv 1902.08129). And the weights of a filter share a sign more often than not: differences of pixels keep little
    of a smooth image and all of the noise.
    """
    for name, parameter in layer.named_parameters(recurse=False):
        if parameter.dim() > 1:
            nn.init.normal_(parameter, generator=generator)
        elif name == "weight":
            nn.init.uniform_(parameter, 0.5, 1.0, generator=generator)
        else:
            nn.init.normal_(parameter, 1.0 if isinstance(layer, _BatchNorm) else 0.0, 0.1, generator=generator)
    if isinstance(layer, _ConvNd) and math.prod(layer.kernel_size) > 1:
        filters = layer.weight.shape[:2]
        means = torch.randn(filters, generator=generator).sign()
        with torch.no_grad():
            layer.weight += means.reshape(*filters, *[1] * len(layer.kernel_size))


def _scale_to_one(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Divide the layer's weights by the deviation of its outputs; what follows sees the divided outputs."""
    deviation = float(output.std())
    if deviation == 0:
        return output
    for parameter in layer.parameters(recurse=False):
        parameter.div_(deviation)
    return output / deviation
