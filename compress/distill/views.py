"""What the networks see of an image: a random crop and flip that depends on nothing but its seeds.

- A view is a function of (seed, view index, sample), not of batch order, workers or resuming: teacher and student see
  the same view, and a killed run goes on with the very views it would have seen.
- Consistent views matter: a teacher asked about another crop than the student's costs 1.2 to 3 points
  (Beyer et al. 2021, "Knowledge distillation: a good teacher is patient and consistent", table 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random crops and flips (the standard of CIFAR training, He et al. 2016, section 4.2).

    pad: pixels of black border that a crop of the original size may shift into; 0 for no shifts.
    flip: mirror left-right with probability one half.
    """

    pad: int = 2
    flip: bool = True


def make_view(images: Tensor, augment: Augment | None, *, seed: int, view: int) -> Tensor:
    """One random view of every image.

    Args:
        images: (n, channels, height, width), values in [0, 1], 0 is black.
        augment: how far views may differ; None returns the images as they are.
        seed: of the run.
        view: index of the view; the same index gives the same crops and flips.

    Returns:
        (n, channels, height, width), the same type and device.
    """
    if augment is None:
        return images
    count, _, height, width = images.shape
    random = torch.Generator().manual_seed(seed * 1_000_003 + view)
    flipped = torch.rand(count, generator=random) < 0.5
    shift = torch.randint(0, 2 * augment.pad + 1, (2, count), generator=random)
    if augment.flip:
        images = torch.where(flipped.to(images.device)[:, None, None, None], images.flip(3), images)
    if augment.pad == 0:
        return images
    rows = (shift[0, :, None] + torch.arange(height)).to(images.device)
    columns = (shift[1, :, None] + torch.arange(width)).to(images.device)
    padded = F.pad(images, [augment.pad] * 4).permute(0, 2, 3, 1)
    sample = torch.arange(count, device=images.device)[:, None, None]
    return padded[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
