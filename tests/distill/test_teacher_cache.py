"""A teacher is asked once a view, ever, and a cache changes nothing but the time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from learning import build, same
from torch import Tensor, nn

from compress.distill import (
    Augment,
    CacheKey,
    Device,
    Distillation,
    ModuleTeacher,
    Schedule,
    SoftTargets,
    Teacher,
    TeacherCache,
    TransferSet,
    ask_teachers,
    choose_device,
    train,
)
from compress.errors import DataError, ModelError
from compress.tasks import Split

DEVICE = choose_device()
RANDOM = np.random.default_rng(0)
TRANSFER = TransferSet(inputs=RANDOM.random((24, 1, 8, 8), dtype=np.float32), labels=RANDOM.integers(0, 10, 24))
VALIDATION = Split(name="validation", images=TRANSFER.inputs[:4], labels=np.zeros(4, np.int64))
AUGMENT = Augment(pad=1, flip=True)
SCHEDULE = Schedule(epochs=4, batch_size=8, learning_rate=0.05, augment=AUGMENT, views=2)


@dataclass(frozen=True, eq=False)
class Linear:
    """Answers a linear function of each image alone, so that batches do not round differently; counts the images."""

    identity: str = "linear"
    scale: float = 1.0
    asked: list[int] = field(default_factory=list)

    def logits(self, inputs: Tensor, device: Device) -> Tensor:
        del device
        self.asked.append(len(inputs))
        return torch.stack([self.scale * image.flatten()[:10].clone() for image in inputs])


def cache_of(folder: Path, teacher: Teacher, augment: Augment | None = AUGMENT, seed: int = 0) -> TeacherCache:
    return TeacherCache(folder, CacheKey.of(teacher, TRANSFER, augment, seed, DEVICE))


def learn(folder: Path, teacher: Teacher, cache: Path | None) -> nn.Module:
    model = build()
    train(model, TRANSFER, VALIDATION, SCHEDULE, seed=0, checkpoint=folder / "c.pt",
          distillation=Distillation(teachers=(teacher,), loss=SoftTargets(temperature=2.0), cache=cache))  # fmt: skip
    return model


def test_cached_training_is_live_training_bit_for_bit_where_the_answers_are(tmp_path: Path) -> None:
    models = [learn(tmp_path / str(i), Linear(), cache) for i, cache in enumerate((None, tmp_path / "cache"))]
    assert same(*models)


def test_a_network_answers_batches_of_another_size_within_rounding(tmp_path: Path) -> None:
    models = [learn(tmp_path / str(i), ModuleTeacher(model=build(7)), c) for i, c in enumerate((None, tmp_path / "c"))]
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-4)


def test_each_view_is_asked_once_ever(tmp_path: Path) -> None:
    teacher = Linear()
    distillation = Distillation(teachers=(teacher,), cache=tmp_path)
    assert ask_teachers(distillation, TRANSFER, SCHEDULE, seed=0, device=DEVICE) == 2
    assert sum(teacher.asked) == 2 * len(TRANSFER)
    longer = dataclasses.replace(SCHEDULE, epochs=10, learning_rate=1.0)
    assert ask_teachers(distillation, TRANSFER, longer, seed=0, device=DEVICE) == 0
    assert ask_teachers(distillation, TRANSFER, dataclasses.replace(SCHEDULE, views=3), seed=0, device=DEVICE) == 1
    assert ask_teachers(dataclasses.replace(distillation, alpha=0.0), TRANSFER, SCHEDULE, seed=5, device=DEVICE) == 0
    assert sum(teacher.asked) == 3 * len(TRANSFER)


@dataclass(frozen=True, kw_only=True, eq=False)
class Renamed(ModuleTeacher):
    """A module whose identity does not say that it changed."""

    @property
    def identity(self) -> str:
        return "renamed"


def test_a_module_whose_answers_changed_under_one_identity_is_found(tmp_path: Path) -> None:
    lines: list[str] = []
    lesson = Distillation(teachers=(Renamed(model=build(7)),), cache=tmp_path)
    for asked in (2, 0):
        done = ask_teachers(
            lesson, TRANSFER, SCHEDULE, seed=0, device=DEVICE, advance=lambda _done, _all, line: lines.append(line)
        )
        assert done == asked
    assert [line.partition(";")[0] for line in lines[:2]] == [f"asked teacher 1 about view {n} of 2" for n in (1, 2)]
    assert lines[2].startswith("teacher 1 was asked before; 16 of its answers differ now by at most")
    other = Distillation(teachers=(Renamed(model=build(8)),), cache=tmp_path)
    with pytest.raises(ModelError, match=r"now answers up to .* away from what is kept .* delete this folder"):
        ask_teachers(other, TRANSFER, SCHEDULE, seed=0, device=DEVICE)


def test_validation_too_is_asked_about_once(tmp_path: Path) -> None:
    """Two samples of each training apart, which show how many classes the teacher knows."""
    teacher = Linear()
    for number in range(2):
        learn(tmp_path / str(number), teacher, tmp_path / "cache")
    assert sum(teacher.asked) == 2 * len(TRANSFER) + len(VALIDATION) + 2 * 2


def test_the_key_follows_all_that_the_answers_depend_on() -> None:
    backwards = TransferSet(inputs=TRANSFER.inputs[::-1].copy(), labels=None)
    other_device = dataclasses.replace(DEVICE, name="cuda")
    keys = [
        CacheKey.of(Linear(), TRANSFER, AUGMENT, 0, DEVICE),
        CacheKey.of(Linear("other"), TRANSFER, AUGMENT, 0, DEVICE),
        CacheKey.of(Linear(), backwards, AUGMENT, 0, DEVICE),
        CacheKey.of(Linear(), TRANSFER, Augment(pad=2), 0, DEVICE),
        CacheKey.of(Linear(), TRANSFER, None, 0, DEVICE),
        CacheKey.of(Linear(), TRANSFER, AUGMENT, 1, DEVICE),
        CacheKey.of(Linear(), TRANSFER, AUGMENT, 0, other_device),
    ]
    assert len({key.digest for key in keys}) == len(keys)
    unlabelled = TransferSet(inputs=TRANSFER.inputs, labels=None)
    assert CacheKey.of(Linear(), unlabelled, AUGMENT, 0, DEVICE) == keys[0]
    assert CacheKey.of(Linear(), TRANSFER, None, 1, DEVICE) == keys[4]


def test_a_check_reports_what_has_changed(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, Linear())
    assert cache.fill(Linear(), TRANSFER, AUGMENT, 1, DEVICE)
    kept = cache.check(Linear(), TRANSFER, AUGMENT, 1, 10, DEVICE)
    assert (kept.samples, kept.changed_classes) == (10, 0)
    assert kept.max_abs_difference <= 2**-12  # half a step of float16 below 1
    turned = cache.check(Linear(scale=-1.0), TRANSFER, AUGMENT, 1, 100, DEVICE)
    assert turned.samples == len(TRANSFER)
    assert turned.max_abs_difference > 1
    assert turned.changed_classes > 20
    with pytest.raises(DataError, match="the teacher's answers about view 0 are missing"):
        cache.check(Linear(), TRANSFER, AUGMENT, 0, 10, DEVICE)


def test_a_cache_of_another_teacher_is_refused(tmp_path: Path) -> None:
    cache_of(tmp_path, Linear()).fill(Linear(), TRANSFER, AUGMENT, 0, DEVICE)
    with pytest.raises(
        ModelError, match=r"view-00000.safetensors: a teacher cache with teacher linear; expected other"
    ):
        cache_of(tmp_path, Linear("other")).fill(Linear("other"), TRANSFER, AUGMENT, 0, DEVICE)
    with pytest.raises(ModelError, match="a teacher cache with seed 0; expected 1"):
        cache_of(tmp_path, Linear(), seed=1).require(0, len(TRANSFER))


@pytest.mark.parametrize("where", [0, 200, -1])
def test_a_damaged_view_is_set_aside_and_asked_again(tmp_path: Path, where: int) -> None:
    cache, teacher = cache_of(tmp_path, Linear()), Linear()
    cache.fill(teacher, TRANSFER, AUGMENT, 0, DEVICE)
    before = cache.require(0, len(TRANSFER)).clone()  # what is read maps the file
    path = tmp_path / "view-00000.safetensors"
    content = path.read_bytes()
    if where == 200:
        path.write_bytes(content[:where])
    else:
        torn = bytearray(content)
        torn[where] ^= 0x55
        path.write_bytes(torn)
    assert cache.fill(teacher, TRANSFER, AUGMENT, 0, DEVICE)
    assert torch.equal(cache.require(0, len(TRANSFER)), before)
    assert len(list(tmp_path.glob("view-00000.damaged-*"))) == 1
    assert not cache.fill(teacher, TRANSFER, AUGMENT, 0, DEVICE)


@pytest.mark.parametrize("scale", [1e6, float("nan")])
def test_answers_beyond_float16_are_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(ModelError, match="expected finite logits up to 65504"):
        cache_of(tmp_path, Linear()).fill(Linear(scale=scale), TRANSFER, AUGMENT, 0, DEVICE)
    assert not list(tmp_path.iterdir())
