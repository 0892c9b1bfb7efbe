"""The loop: it learns, it repeats, it continues where it was killed, and it never sees the test split."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from compress.distill import Augment, Distillation, Schedule, predict, train
from compress.errors import DataError, ModelError
from compress.models.mobile import mobile_cnn
from compress.tasks import Task
from compress.tasks.digits import digits

SCHEDULE = Schedule(epochs=3, batch_size=64, learning_rate=0.1, augment=Augment(pad=1, flip=False), views=2)


@pytest.fixture(scope="module")
def task() -> Task:
    return digits()


def build(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return mobile_cnn(in_channels=1, classes=10, widths=(8, 16, 24), strides=(1, 1, 2))


def weights(model: nn.Module) -> list[torch.Tensor]:
    return list(model.state_dict().values())


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_it_learns_digits(task: Task, tmp_path: Path) -> None:
    model = build()
    schedule = dataclasses.replace(SCHEDULE, epochs=12)
    history = train(model, task.train, task.validation, schedule, seed=0, checkpoint=tmp_path / "c.pt")
    labels = torch.from_numpy(task.test.labels)
    assert (predict(model, task.test) == labels).float().mean() > 0.85
    assert len(history) == 12
    assert history[-1].loss < history[0].loss / 3


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(task: Task, tmp_path: Path) -> None:
    models = [build(), build(), build()]
    for index, (model, seed) in enumerate(zip(models, (0, 0, 1), strict=True)):
        train(model, task.train, task.validation, SCHEDULE, seed=seed, checkpoint=tmp_path / f"{index}.pt")
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


class Killed(Exception):
    """Stands for a kill between two epochs."""


@pytest.mark.parametrize("with_teacher", [False, True])
def test_a_killed_run_continues_to_the_same_weights(task: Task, tmp_path: Path, with_teacher: bool) -> None:
    distillation = Distillation(teacher=build(7), temperature=4.0, alpha=0.9) if with_teacher else None

    def run(model: nn.Module, checkpoint: Path, die_after: int | None = None) -> nn.Module:
        def advance(done: int, *_: object) -> None:
            if done == die_after:
                raise Killed

        train(
            model,
            task.train,
            task.validation,
            SCHEDULE,
            seed=0,
            checkpoint=checkpoint,
            distillation=distillation,
            advance=advance,
        )
        return model

    unbroken = run(build(), tmp_path / "unbroken.pt")
    with pytest.raises(Killed):
        run(build(), tmp_path / "killed.pt", die_after=1)
    assert same(unbroken, run(build(), tmp_path / "killed.pt"))


def test_alpha_zero_is_training_without_a_teacher_bit_for_bit(task: Task, tmp_path: Path) -> None:
    alone, distilled = build(), build()
    train(alone, task.train, task.validation, SCHEDULE, seed=0, checkpoint=tmp_path / "a.pt")
    nothing = Distillation(teacher=build(7), temperature=4.0, alpha=0.0)
    train(distilled, task.train, task.validation, SCHEDULE, seed=0, checkpoint=tmp_path / "b.pt", distillation=nothing)
    assert same(alone, distilled)


def test_the_teacher_stays_as_it_was_and_sees_the_students_views(task: Task, tmp_path: Path) -> None:
    teacher = build(7)
    before = [tensor.clone() for tensor in weights(teacher)]
    seen: list[torch.Tensor] = []
    student = build()
    student_inputs: list[torch.Tensor] = []
    teacher.register_forward_pre_hook(lambda module, args: seen.append((module.training, args[0].clone())))
    student.register_forward_pre_hook(
        lambda module, args: student_inputs.append(args[0].clone()) if module.training else None
    )
    distillation = Distillation(teacher=teacher, temperature=4.0, alpha=0.9)
    schedule = dataclasses.replace(SCHEDULE, epochs=1)
    train(
        student, task.train, task.validation, schedule, seed=0, checkpoint=tmp_path / "c.pt", distillation=distillation
    )
    assert all(torch.equal(a, b) for a, b in zip(before, weights(teacher), strict=True))
    assert not any(training for training, _ in seen)
    views = {image.numpy().tobytes() for _, batch in seen for image in batch}
    assert all(image.numpy().tobytes() in views for batch in student_inputs for image in batch)


def test_the_learning_rate_climbs_and_falls_to_nothing() -> None:
    rates = [SCHEDULE.rate(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(SCHEDULE.learning_rate)
    assert rates.index(max(rates)) == 20
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0 < rates[-1] < 0.002


def test_the_test_split_is_refused(task: Task, tmp_path: Path) -> None:
    for splits in ((task.test, task.validation), (task.train, task.test)):
        with pytest.raises(DataError, match="got the test split"):
            train(build(), *splits, SCHEDULE, seed=0, checkpoint=tmp_path / "c.pt")


def test_a_batch_larger_than_the_data_is_refused(task: Task, tmp_path: Path) -> None:
    schedule = dataclasses.replace(SCHEDULE, batch_size=5000)
    with pytest.raises(DataError, match=r"batch_size 5000 exceeds the \d+ training images"):
        train(build(), task.train, task.validation, schedule, seed=0, checkpoint=tmp_path / "c.pt")


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(task: Task, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pt"
    model = build()

    def poison(*_: object) -> None:
        with torch.no_grad():
            model.classifier.weight.fill_(float("nan"))

    with pytest.raises(ModelError, match="the loss became nan in epoch 2"):
        train(model, task.train, task.validation, SCHEDULE, seed=0, checkpoint=checkpoint, advance=poison)
    kept = torch.load(checkpoint, weights_only=True)
    assert len(kept["history"]) == 1
    assert all(torch.isfinite(tensor).all() for tensor in kept["model"].values())
