"""What the networks see of an image: a random crop, flip and cutout that depends on nothing but its seeds.

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

from compress.distill.seeds import derive_seed


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random crops and flips (the standard of CIFAR training, He et al. 2016, section 4.2), and cutout.

    pad: pixels of black border that a crop of the original size may shift into; 0 for no shifts.
    flip: mirror left-right with probability one half.
    cutout: side in pixels of a square that is painted black around a random pixel (DeVries & Taylor 2017); 0 for none.
    """

    pad: int = 2
    flip: bool = False
    cutout: int = 0


class View:
    """One random view of every sample of a data set; it is made for the samples that are asked for."""

    def __init__(
        self, count: int, augment: Augment | None, *, seed: int, view: int, device: str | torch.device = "cpu"
    ) -> None:
        """Draw what the view does to each sample.

        Args:
            count: samples in the data set.
            augment: how far views may differ; None leaves the samples as they are.
            seed: of the run.
            view: index of the view; the same index gives the same crops and flips.
            device: where the samples will be.
        """
        self._augment = augment
        random = torch.Generator().manual_seed(derive_seed(seed, "view", view))
        reach = 2 * augment.pad + 1 if augment else 1
        self._flip = (torch.rand(count, generator=random) < 0.5).to(device)
        self._shift = torch.randint(0, reach, (2, count), generator=random).to(device)
        self._hole = torch.rand(2, count, generator=random).to(device)

    def of(self, samples: Tensor, index: Tensor) -> Tensor:
        """The view of some samples.

        Args:
            samples: (n, channels, height, width), values in [0, 1], 0 is black; any shape (n, ...) without augment.
            index: (n,) which samples of the data set they are.

        Returns:
            The same shape, type and device.
        """
        if self._augment is None:
            return samples
        if self._augment.flip:
            samples = torch.where(self._flip[index, None, None, None], samples.flip(3), samples)
        if self._augment.pad:
            samples = _crop(samples, self._shift[:, index], self._augment.pad)
        if self._augment.cutout:
            samples = _cut_out(samples, self._hole[:, index], self._augment.cutout)
        return samples


def _crop(images: Tensor, shift: Tensor, pad: int) -> Tensor:
    count, _, height, width = images.shape
    rows = shift[0, :, None] + torch.arange(height, device=images.device)
    columns = shift[1, :, None] + torch.arange(width, device=images.device)
    padded = F.pad(images, [pad] * 4).permute(0, 2, 3, 1)
    sample = torch.arange(count, device=images.device)[:, None, None]
    return padded[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut_out(images: Tensor, hole: Tensor, side: int) -> Tensor:
    kept = []
    for axis, size in enumerate(images.shape[2:]):
        first = (hole[axis] * size).long() - side // 2
        position = torch.arange(size, device=images.device)
        kept.append((position < first[:, None]) | (position >= first[:, None] + side))
    return images * (kept[0][:, None, :, None] | kept[1][:, None, None, :])
