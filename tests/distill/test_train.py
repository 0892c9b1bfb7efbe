"""The loop: it learns, it repeats, it continues where it was killed, and it never sees the test split."""

import copy
import dataclasses
import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from learning import SCHEDULE, build, learn, same, taught_by
from torch import nn

from compress.distill import (
    DKD,
    Distillation,
    LogitRegression,
    ModuleTeacher,
    Schedule,
    SoftTargets,
    TransferSet,
    choose_device,
    logits_of,
    train,
)
from compress.errors import DataError, ModelError
from compress.tasks import Split, Task
from compress.tasks.digits import digits
from tests import forked


@pytest.fixture(scope="module")
def task() -> Task:
    return digits()


def accuracy(model: nn.Module, split: Split) -> float:
    classes = logits_of(model, torch.from_numpy(split.images), choose_device()).argmax(1).cpu()
    return float((classes == torch.from_numpy(split.labels)).float().mean())


def test_it_learns_digits(task: Task, tmp_path: Path) -> None:
    model = build()
    history = learn(model, task, tmp_path / "c.pt", schedule=dataclasses.replace(SCHEDULE, epochs=12))
    assert accuracy(model, task.test) > 0.85
    assert len(history) == 12
    assert history[-1].loss < history[0].loss / 3


def test_it_learns_from_a_teacher_without_any_label(task: Task, tmp_path: Path) -> None:
    teacher, student = build(1), build(2)
    learn(teacher, task, tmp_path / "t.pt", schedule=dataclasses.replace(SCHEDULE, epochs=24))
    unlabelled = TransferSet(inputs=task.train.images, labels=None)
    history = learn(
        student,
        task,
        tmp_path / "s.pt",
        schedule=dataclasses.replace(SCHEDULE, epochs=24),
        distillation=taught_by(teacher, alpha=1.0),
        transfer=unlabelled,
    )
    assert accuracy(student, task.test) > 0.85
    assert history[-1].agreement is not None
    assert history[-1].agreement > 0.85


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(task: Task, tmp_path: Path) -> None:
    models = [build(), build(), build()]
    for index, (model, seed) in enumerate(zip(models, (0, 0, 1), strict=True)):
        learn(model, task, tmp_path / f"{index}.pt", seed=seed)
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


@pytest.mark.parametrize(("with_teacher", "ema"), [(False, 0.0), (True, 0.9)])
def test_a_run_killed_at_any_step_continues_to_the_same_weights(
    task: Task, tmp_path: Path, with_teacher: bool, ema: float
) -> None:
    steps = SCHEDULE.epochs * (len(task.train) // SCHEDULE.batch_size)
    kill_at = int(np.random.default_rng(with_teacher).integers(1, steps))

    def run(checkpoint: Path, kill_at: int) -> int:
        arguments = ("killed.py", checkpoint, kill_at, with_teacher, ema)
        return forked.run(*arguments, environment=os.environ, folder=Path(__file__).parent).returncode

    assert run(tmp_path / "whole.pt", 0) == 0
    assert run(tmp_path / "killed.pt", kill_at) == -signal.SIGKILL
    assert run(tmp_path / "killed.pt", 0) == 0
    whole, killed = (torch.load(tmp_path / f"{name}.weights", weights_only=True) for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def test_a_damaged_checkpoint_is_set_aside_and_training_starts_anew(task: Task, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pt"
    checkpoint.write_bytes(b"torn")
    one, other = build(), build()
    learn(one, task, checkpoint)
    learn(other, task, tmp_path / "d.pt")
    assert same(one, other)
    assert (tmp_path / "c.damaged").read_bytes() == b"torn"


def test_a_checkpoint_of_another_training_is_refused(task: Task, tmp_path: Path) -> None:
    learn(build(), task, tmp_path / "c.pt")
    with pytest.raises(ModelError, match="a checkpoint of another training"):
        learn(build(), task, tmp_path / "c.pt", seed=1)


def test_alpha_zero_is_training_without_a_teacher_bit_for_bit(task: Task, tmp_path: Path) -> None:
    alone, distilled = build(), build()
    learn(alone, task, tmp_path / "a.pt")
    learn(distilled, task, tmp_path / "b.pt", distillation=taught_by(build(7), alpha=0.0))
    assert same(alone, distilled)


def test_the_teacher_stays_as_it_was_and_sees_the_students_views(task: Task, tmp_path: Path) -> None:
    teacher, student = build(7).train(), build()
    before = [tensor.clone() for tensor in teacher.state_dict().values()]
    seen: list[tuple[bool, torch.Tensor]] = []
    shown: list[torch.Tensor] = []
    teacher.register_forward_pre_hook(lambda module, args: seen.append((module.training, args[0].clone())))
    student.register_forward_pre_hook(lambda module, args: shown.append(args[0].clone()) if module.training else None)
    learn(
        student,
        task,
        tmp_path / "c.pt",
        schedule=dataclasses.replace(SCHEDULE, epochs=1),
        distillation=taught_by(teacher, cache=tmp_path / "cache"),
    )
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.state_dict().values(), strict=True))
    assert not any(training for training, _ in seen)
    views = {image.numpy().tobytes() for _, batch in seen for image in batch}
    assert shown
    assert all(image.numpy().tobytes() in views for batch in shown for image in batch)


def test_the_average_of_the_weights_is_the_result(task: Task, tmp_path: Path) -> None:
    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(64, 10)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if self.training:
                passes.append(self.net.bias.detach().clone())
            return self.net(inputs.flatten(1))

    passes: list[torch.Tensor] = []
    model = Watched()
    schedule = Schedule(epochs=1, batch_size=64, learning_rate=0.1, ema_decay=0.8)
    learn(model, task, tmp_path / "c.pt", schedule=schedule)
    plain = Watched()
    plain.load_state_dict({"net.weight": torch.zeros(10, 64), "net.bias": torch.zeros(10)})
    expected = passes[1]  # after the first step
    for bias in passes[2:]:
        expected = 0.8 * expected + 0.2 * bias
    # The last step's weights were never seen in a forward pass; they are 0.2 of the average.
    last = (model.net.bias.detach() - 0.8 * expected) / 0.2
    assert (last - passes[-1]).abs().max() < 0.01


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_the_learning_rate_climbs_and_falls_to_nothing(decay: str) -> None:
    schedule = dataclasses.replace(SCHEDULE, decay=decay)
    rates = [schedule.rate(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(SCHEDULE.learning_rate)
    assert rates.index(max(rates)) == 20
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0 < rates[-1] < 0.002


def test_adamw_is_loshchilov_and_hutters_algorithm_2(task: Task, tmp_path: Path) -> None:
    """Against the paper's recursion, written out: all samples in every batch, so that each step is known."""
    schedule = Schedule(
        epochs=4,
        batch_size=len(task.train),
        learning_rate=0.01,
        optimizer="adamw",
        weight_decay=0.1,
        precision="float32",
    )
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    expected = copy.deepcopy(model)
    learn(model, task, tmp_path / "a.pt", schedule=schedule)

    weights = list(expected.parameters())
    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    images, labels = torch.from_numpy(task.train.images), torch.from_numpy(task.train.labels)
    for step in range(4):
        gradients = torch.autograd.grad(nn.functional.cross_entropy(expected(images), labels), weights)
        rate = schedule.rate(step, 4)
        with torch.no_grad():
            for weight, gradient, m, v in zip(weights, gradients, first, second, strict=True):
                m.mul_(0.9).add_(0.1 * gradient)
                v.mul_(0.999).add_(0.001 * gradient**2)
                decay = 0.1 if weight.ndim > 1 else 0.0
                direction = (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
                weight.sub_(rate * (direction + decay * weight))
    for found, wanted in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_test_split_is_refused(task: Task, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got the test split"):
        TransferSet.of_split(task.test)
    with pytest.raises(DataError, match="got the test split"):
        train(build(), TransferSet.of_split(task.train), task.test, SCHEDULE, seed=0, checkpoint=tmp_path / "c.pt")


def test_a_batch_larger_than_the_data_is_refused(task: Task, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"batch_size 5000 exceeds the \d+ training images"):
        learn(build(), task, tmp_path / "c.pt", schedule=dataclasses.replace(SCHEDULE, batch_size=5000))


def test_a_loss_that_is_not_finite_stops_at_once_and_keeps_the_last_good_checkpoint(task: Task, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pt"
    model = build()
    per_epoch = len(task.train) // SCHEDULE.batch_size
    passes = []

    def poison(module: nn.Module, _args: object) -> None:
        if module.training:
            passes.append(1)
            if len(passes) == per_epoch + 3:
                with torch.no_grad():
                    model.classifier.weight.fill_(float("nan"))

    model.register_forward_pre_hook(poison)
    with pytest.raises(ModelError, match=f"the loss became nan at step {per_epoch + 3} of"):
        learn(model, task, checkpoint)
    assert len(passes) == per_epoch + 3
    kept = torch.load(io.BytesIO(checkpoint.read_bytes()[32:]), weights_only=True)
    assert kept["step"] == per_epoch
    assert all(torch.isfinite(tensor).all() for tensor in kept["learner"].values())


@pytest.mark.parametrize(
    ("distillation", "labelled", "error", "message"),
    [
        (None, False, DataError, "has no labels"),
        (lambda: taught_by(build(7), alpha=0.5), False, DataError, "has no labels, which alpha 0.5 needs"),
        (lambda: taught_by(build(7, classes=9)), True, ModelError, "the teacher has 9 classes, the student 10"),
        (
            lambda: Distillation(teachers=taught_by(build(7)).teachers, loss=DKD(), alpha=1.0),
            False,
            DataError,
            "DKD needs",
        ),
    ],
)
def test_what_cannot_train_is_refused_before_it_does(
    task: Task, tmp_path: Path, distillation, labelled: bool, error: type[Exception], message: str
) -> None:
    transfer = TransferSet(inputs=task.train.images, labels=task.train.labels if labelled else None)
    model = build()
    model.register_forward_pre_hook(lambda module, _: pytest.fail("it trained") if module.training else None)
    with pytest.raises(error, match=message):
        learn(model, task, tmp_path / "c.pt", transfer=transfer, distillation=distillation and distillation())


def test_a_student_is_not_its_own_teacher(task: Task, tmp_path: Path) -> None:
    model = build()
    with pytest.raises(ModelError, match="teacher and student share weights; expected a teacher that stays"):
        learn(model, task, tmp_path / "c.pt", distillation=taught_by(model))
    learn(
        model, task, tmp_path / "c.pt", schedule=dataclasses.replace(SCHEDULE, epochs=1),
        distillation=taught_by(copy.deepcopy(model)),
    )  # fmt: skip


def test_another_networks_checkpoint_is_not_taken_over(task: Task, tmp_path: Path) -> None:
    """Of the same shapes: other initial weights, or another activation."""
    schedule = dataclasses.replace(SCHEDULE, epochs=1)
    learn(build(0), task, tmp_path / "c.pt", schedule=schedule)
    other = build(0)
    other.stem[2] = nn.SiLU()
    for model in (build(1), other):
        with pytest.raises(ModelError, match="a checkpoint of another training"):
            learn(model, task, tmp_path / "c.pt", schedule=schedule)


class Two(nn.Module):
    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return inputs, inputs


@pytest.mark.parametrize(
    ("model", "got"),
    [(Two(), r"Two: returned tuple for 2 samples"), (nn.Identity(), r"Identity: returned shape \(2, 1, 8, 8\)")],
)
def test_a_model_that_gives_no_logits_is_refused(task: Task, tmp_path: Path, model: nn.Module, got: str) -> None:
    with pytest.raises(ModelError, match=rf"{got}.*; expected logits \(2, classes\)"):
        learn(model, task, tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("optimizer", "adam"),
        ("views", -1),
        ("warmup_fraction", 1.0),
        ("ema_decay", 1),
    ],
)
def test_impossible_schedules_are_refused(field: str, value: object) -> None:
    with pytest.raises(DataError, match=f"train: {field} is {value}; expected"):
        dataclasses.replace(SCHEDULE, **{field: value})


def test_volumes_train_too(tmp_path: Path) -> None:
    """Three-dimensional convolutions have no channels-last layout of images."""
    volumes = np.random.default_rng(0).random((16, 1, 4, 4, 4), dtype=np.float32)[::-1]
    transfer = TransferSet(inputs=volumes, labels=np.arange(16) % 3)
    validation = Split(name="validation", images=volumes[:4].copy(), labels=np.zeros(4, np.int64))
    model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    schedule = Schedule(epochs=1, batch_size=8, learning_rate=0.1)
    (epoch,) = train(model, transfer, validation, schedule, seed=0, checkpoint=tmp_path / "c.pt")
    assert np.isfinite(epoch.loss)


def test_an_average_counts_its_batches(task: Task, tmp_path: Path) -> None:
    model, schedule = build(), dataclasses.replace(SCHEDULE, epochs=1, ema_decay=0.9)
    learn(model, task, tmp_path / "c.pt", schedule=schedule)
    assert model.stem[1].num_batches_tracked == len(task.train) // SCHEDULE.batch_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, "alpha is 1.5; expected 0 to 1"),
        ({"teachers": (ModuleTeacher(model=build()),) * 2, "loss": LogitRegression()}, "write combine: mean_logit"),
        ({"teachers": (ModuleTeacher(model=build()),) * 2, "loss": DKD(standardize=True)}, "write combine: mean_logit"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"teachers": ()}, "no teacher"),
    ],
)
def test_impossible_distillations_are_refused(arguments: dict[str, object], message: str) -> None:
    fields = {"teachers": (ModuleTeacher(model=build()),), "loss": SoftTargets(), **arguments}
    with pytest.raises(ModelError, match=message):
        Distillation(**fields)
