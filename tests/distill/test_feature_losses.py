"""Losses on features against NumPy, SciPy and plain loops."""

from itertools import permutations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.special import huber
from scipy.stats import ortho_group
from torch import Tensor

from compress.distill.losses import attention_transfer_loss, hint_loss, rkd_angle_loss, rkd_distance_loss

RANDOM = np.random.default_rng(0)
BATCH = 6


def normal(*shape: int) -> Tensor:
    return torch.from_numpy(RANDOM.normal(0, 2, shape).astype(np.float32))


MAPS = normal(BATCH, 5, 4, 6), normal(BATCH, 3, 4, 6)
ROWS = normal(BATCH, 5), normal(BATCH, 9)

LOSSES = {
    "hint": (hint_loss, (ROWS[0], normal(BATCH, 5))),
    "attention": (attention_transfer_loss, MAPS),
    "attention, p = 1": (lambda s, t: attention_transfer_loss(s, t, 1.0), MAPS),
    "distance": (rkd_distance_loss, ROWS),
    "angle": (rkd_angle_loss, ROWS),
}
every_loss = pytest.mark.parametrize(("loss", "features"), LOSSES.values(), ids=LOSSES.keys())
relational = pytest.mark.parametrize("loss", [rkd_distance_loss, rkd_angle_loss])


def gradient(loss, student: Tensor, teacher: Tensor) -> Tensor:
    student = student.clone().requires_grad_()
    loss(student, teacher).backward()
    return student.grad


# FitNets: Romero et al. 2015


def test_hint_is_the_mean_squared_error() -> None:
    student, teacher = MAPS[0], MAPS[0].flip(0)
    expected = np.mean((student.double().numpy() - teacher.double().numpy()) ** 2)
    assert hint_loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)


# Attention transfer: Zagoruyko & Komodakis 2017


def attention(feature: Tensor, p: float, size: tuple[int, int]) -> NDArray[np.float64]:
    summed = (np.abs(feature.double().numpy()) ** p).sum(1)
    batch, height, width = summed.shape
    blocks = summed.reshape(batch, size[0], height // size[0], size[1], width // size[1])
    flat = blocks.mean((2, 4)).reshape(batch, -1)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


@pytest.mark.parametrize("p", [1.0, 2.0, 4.0])
@pytest.mark.parametrize(
    ("student_size", "teacher_size", "size"),
    [((4, 6), (4, 6), (4, 6)), ((8, 6), (4, 6), (4, 6)), ((4, 6), (8, 12), (4, 6)), ((8, 3), (4, 6), (4, 3))],
)
def test_attention_transfer_is_numpys(p: float, student_size, teacher_size, size) -> None:
    student, teacher = normal(BATCH, 5, *student_size), normal(BATCH, 3, *teacher_size)
    expected = np.mean((attention(student, p, size) - attention(teacher, p, size)) ** 2)
    assert attention_transfer_loss(student, teacher, p).item() == pytest.approx(expected, rel=1e-4)


def test_attention_is_averaged_down_after_its_signs_are_gone() -> None:
    """A checkerboard of +1 and -1 is looked at everywhere alike; averaging the activations would see nothing."""
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).tile(1, 1, 4, 4)
    assert attention_transfer_loss(board, torch.ones(1, 1, 4, 4)).item() == pytest.approx(0, abs=1e-12)


# Relational distillation: Park et al. 2019


def test_distance_is_scipys() -> None:
    student, teacher = (pdist(rows.double().numpy()) for rows in ROWS)
    expected = huber(1, student / student.mean() - teacher / teacher.mean()).mean()
    assert rkd_distance_loss(*ROWS).item() == pytest.approx(expected, rel=1e-4)


def test_angle_is_that_of_a_loop_over_all_triplets() -> None:
    def cosine(rows: NDArray[np.float64], i: int, j: int, k: int) -> float:
        a, b = rows[i] - rows[j], rows[k] - rows[j]
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    student, teacher = (rows.double().numpy() for rows in ROWS)
    terms = [huber(1, cosine(student, *ijk) - cosine(teacher, *ijk)) for ijk in permutations(range(BATCH), 3)]
    assert rkd_angle_loss(*ROWS).item() == pytest.approx(np.mean(terms), rel=1e-4)


@relational
def test_relations_survive_rotation_scale_and_shift(loss) -> None:
    teacher = ROWS[1].double()
    rotation = torch.from_numpy(ortho_group.rvs(9, random_state=0))
    assert loss(3 * teacher @ rotation + 5, teacher).item() == pytest.approx(0, abs=1e-12)


@relational
def test_maps_are_flattened(loss) -> None:
    torch.testing.assert_close(loss(*MAPS), loss(MAPS[0].flatten(1), MAPS[1].flatten(1)))


@relational
@pytest.mark.parametrize("batch", [1, 2])
def test_too_few_samples_have_no_relation(loss, batch: int) -> None:
    student, teacher = ROWS[0][:batch], ROWS[1][:batch]
    assert loss(student, teacher).item() == 0
    assert not gradient(loss, student, teacher).any()


# All of them


@every_loss
def test_gradients_are_those_of_finite_differences(loss, features: tuple[Tensor, Tensor]) -> None:
    student, teacher = (feature[:4].double() for feature in features)
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), student.requires_grad_())


@every_loss
def test_a_loss_is_computed_in_float32(loss, features: tuple[Tensor, Tensor]) -> None:
    """Whatever the type of the features; under autocast too, which multiplies matrices in bfloat16."""
    for dtype in (torch.float16, torch.bfloat16):
        student, teacher = (feature.to(dtype) for feature in features)
        exact = loss(student.float(), teacher.float())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = loss(student, teacher)
        assert found.dtype == torch.float32
        assert found.item() == exact.item()
    assert loss(*features).item() == pytest.approx(loss(*(f.double() for f in features)).item(), rel=1e-4)


@every_loss
@pytest.mark.parametrize("case", ["zeros", "zero teacher", "both zero", "equal rows", "two equal rows", "huge", "tiny"])
def test_values_and_gradients_stay_finite(loss, features: tuple[Tensor, Tensor], case: str) -> None:
    student, teacher = features
    pair = student.clone()
    pair[1] = pair[0]
    student, teacher = {
        "zeros": (torch.zeros_like(student), teacher),
        "zero teacher": (student, torch.zeros_like(teacher)),
        "both zero": (torch.zeros_like(student), torch.zeros_like(teacher)),
        "equal rows": (student[:1].expand_as(student), teacher),
        "two equal rows": (pair, teacher),
        "huge": (5e3 * student.half(), teacher.bfloat16()),
        "tiny": (1e-6 * student, teacher),
    }[case]
    assert loss(student, teacher).isfinite()
    assert gradient(loss, student, teacher).isfinite().all()


@relational
def test_coincident_samples_do_not_blow_the_gradient_up(loss) -> None:
    student = ROWS[0].clone()
    student[1] = student[0]
    assert gradient(loss, student, ROWS[1]).abs().max() < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: hint_loss(*ROWS),
            r"\(6, 5\), teacher features \(6, 9\); expected equal shapes; project the student's",
        ),
        (lambda: hint_loss(ROWS[0][:0], ROWS[0][:0]), "at least one sample"),
        (lambda: attention_transfer_loss(*ROWS), r"expected \(batch, channels, height, width\)"),
        (lambda: attention_transfer_loss(*MAPS, p=0.5), "p must be at least 1, got 0.5"),
        (lambda: attention_transfer_loss(MAPS[0][:3], MAPS[1]), "of the same batch"),
        (lambda: rkd_distance_loss(ROWS[0][:3], ROWS[1]), "of the same batch"),
        (lambda: rkd_angle_loss(ROWS[0][:, 0], ROWS[1]), r"expected \(batch, ...\)"),
    ],
)
def test_senseless_arguments_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
