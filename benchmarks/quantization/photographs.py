"""Crops of the real photographs that scikit-image and scikit-learn ship: no labels, three disjoint groups.

The groups were drawn before anything was measured. Settings are chosen on TUNING alone; EVALUATION is for the table.
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
SIDE = 224


def crops(names: tuple[str, ...], count: int, seed: int) -> Tensor:
    """Square crops, half to all of a photograph's shorter side, half of them mirrored.

    Args:
        names: the photographs, taken in turn.
        count: how many crops.
        seed: of where they are cut.

    Returns:
        (count, 3, 224, 224) float32 in [-1, 1], as EfficientNet-Lite was trained: (pixel - 127) / 128.
    """
    random = np.random.default_rng(seed)
    return torch.stack([_crop(_photograph(names[i % len(names)]), random) for i in range(count)])


def _photograph(name: str) -> Image.Image:
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(root, folder, name)).exists():
                return Image.open(path).convert("RGB")
    raise SystemExit(f"photograph {name} not found; expected it in scikit-image or scikit-learn; see --help")


def _crop(photograph: Image.Image, random: np.random.Generator) -> Tensor:
    shorter = min(photograph.size)
    side = int(random.integers(shorter // 2, shorter, endpoint=True))
    left, top = (int(random.integers(0, size - side, endpoint=True)) for size in photograph.size)
    image = photograph.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    pixels = np.asarray(image, np.float32)
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
    return torch.from_numpy((pixels - 127.0) / 128.0).permute(2, 0, 1).contiguous()
