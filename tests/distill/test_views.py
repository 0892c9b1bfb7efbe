"""Views against a slow loop, and their independence of everything but the seeds."""

import numpy as np
import torch

from compress.distill import Augment, View

IMAGES = torch.from_numpy(np.random.default_rng(0).random((50, 2, 6, 5), dtype=np.float32)) + 0.001
ALL = torch.arange(len(IMAGES))


def make(augment: Augment | None, seed: int, view: int) -> torch.Tensor:
    return View(len(IMAGES), augment, seed=seed, view=view).of(IMAGES, ALL)


def test_every_view_is_a_shift_with_black_border_of_the_image_or_its_mirror() -> None:
    pad = 2
    shifts = set()
    for image, view in zip(IMAGES.numpy(), make(Augment(pad=pad, flip=True), 3, 1).numpy(), strict=True):
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


def test_cutout_paints_one_square_black_that_the_border_may_cut() -> None:
    holes = set()
    for image, view in zip(IMAGES.numpy(), make(Augment(pad=0, flip=False, cutout=3), 0, 0).numpy(), strict=True):
        black = (view == 0).all(axis=0)
        rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
        hole = np.zeros_like(black)
        hole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
        assert np.array_equal(hole, black)
        assert np.array_equal(view, np.where(hole, 0, image))
        assert 2 <= len(rows) <= 3
        assert 2 <= len(columns) <= 3
        holes.add((int(rows[0]), int(columns[0])))
    assert len(holes) > 10


def test_a_view_depends_on_seed_and_index_alone() -> None:
    augment = Augment()
    first = make(augment, 1, 4)
    torch.rand(17)  # the global generator must not matter
    assert torch.equal(first, make(augment, 1, 4))
    assert not torch.equal(first, make(augment, 1, 5))
    assert not torch.equal(first, make(augment, 2, 4))


def test_a_sample_looks_the_same_in_any_batch() -> None:
    whole = make(Augment(cutout=2), 1, 4)
    plan = View(len(IMAGES), Augment(cutout=2), seed=1, view=4)
    pick = torch.tensor([33, 2, 33, 7])
    assert torch.equal(plan.of(IMAGES[pick], pick), whole[pick])


def test_no_augmentation_returns_the_images() -> None:
    assert torch.equal(make(None, 0, 0), IMAGES)
    assert torch.equal(make(Augment(pad=0, flip=False), 0, 0), IMAGES)
