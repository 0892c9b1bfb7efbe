"""Views against a slow loop, and their independence of everything but the seeds."""

import numpy as np
import torch

from compress.distill import Augment, make_view

IMAGES = torch.from_numpy(np.random.default_rng(0).random((50, 2, 6, 5), dtype=np.float32))


def test_every_view_is_a_shift_with_black_border_of_the_image_or_its_mirror() -> None:
    pad = 2
    views = make_view(IMAGES, Augment(pad=pad, flip=True), seed=3, view=1)
    shifts = set()
    for image, view in zip(IMAGES.numpy(), views.numpy(), strict=True):
        found = [
            (flip, dy, dx)
            for flip, source in enumerate((image, image[:, :, ::-1]))
            for dy in range(2 * pad + 1)
            for dx in range(2 * pad + 1)
            if np.array_equal(np.pad(source, ((0, 0), (pad, pad), (pad, pad)))[:, dy : dy + 6, dx : dx + 5], view)
        ]
        assert len(found) == 1
        shifts.update(found)
    assert {flip for flip, _, _ in shifts} == {0, 1}
    assert {dy for _, dy, _ in shifts} == {dx for _, _, dx in shifts} == set(range(5))


def test_a_view_depends_on_seed_and_index_alone() -> None:
    augment = Augment()
    first = make_view(IMAGES, augment, seed=1, view=4)
    torch.rand(17)  # the global generator must not matter
    assert torch.equal(first, make_view(IMAGES, augment, seed=1, view=4))
    assert not torch.equal(first, make_view(IMAGES, augment, seed=1, view=5))
    assert not torch.equal(first, make_view(IMAGES, augment, seed=2, view=4))


def test_no_augmentation_returns_the_images() -> None:
    assert torch.equal(make_view(IMAGES, None, seed=0, view=0), IMAGES)
    assert torch.equal(make_view(IMAGES, Augment(pad=0, flip=False), seed=0, view=0), IMAGES)
