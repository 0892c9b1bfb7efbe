"""Crops of the real photographs that scikit-image and scikit-learn ship: no labels, three disjoint groups.

The groups were drawn before anything was measured. Settings were chosen on TUNING; EVALUATION is for the table alone.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CALIBRATION = (
    "astronaut.png",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
    "retina.jpg",
    "ihc.png",
    "brick.png",
    "grass.png",
    "gravel.png",
    "moon.png",
    "coins.png",
)
TUNING = ("flower.jpg", "camera.png")
EVALUATION = ("chelsea.png", "coffee.png", "rocket.jpg", "china.jpg")


def cut(names: tuple[str, ...], count: int, side: int, seed: int) -> Tensor:
    """Square crops, half to all of a photograph's shorter side, half of them mirrored.

    Args:
        names: the photographs, taken in turn.
        count: how many crops.
        side: of a crop once it is scaled, in pixels.
        seed: of where they are cut.

    Returns:
        (count, 3, side, side) float32, (pixel - 127) / 128 as EfficientNet-Lite was trained.
    """
    random = np.random.default_rng(seed)
    return torch.stack([_crop(_open(names[i % len(names)]), side, random) for i in range(count)])


def _open(name: str) -> Image.Image:
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(root, folder, name)).exists():
                return Image.open(path).convert("RGB")
    raise FileNotFoundError(f"photograph {name}: not in scikit-image and not in scikit-learn; install both")


def _crop(photograph: Image.Image, side: int, random: np.random.Generator) -> Tensor:
    shorter = min(photograph.size)
    size = int(random.integers(shorter // 2, shorter, endpoint=True))
    left, top = (int(random.integers(0, whole - size, endpoint=True)) for whole in photograph.size)
    image = photograph.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + size, top + size))
    pixels = np.asarray(image, np.float32)
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
    return torch.from_numpy((pixels - 127.0) / 128.0).permute(2, 0, 1).contiguous()
