"""The training loop: one, for teachers and students, with a teacher and without, in one process or several.

- Deterministic per (seed, epoch, sample): the learning rate, the order, the views and the dropout are functions of the
  seed and the step, so a checkpoint holds weights, momentum and a step number, and nothing else.
- The teacher is asked about the very views that the student sees: once per view where a cache is kept.
- It ends with the last epoch's weights; the validation split is watched, never used to choose an epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor, nn

from compress.distill.answers import Advance, Answers, ask_teachers
from compress.distill.batch_norms import global_batch_norms
from compress.distill.checkpoint import Checkpoint
from compress.distill.device import Device, choose_device
from compress.distill.distillation import Distillation, check_distillation, training_loss
from compress.distill.features import Learner
from compress.distill.schedule import Schedule
from compress.distill.seeds import derive_seed
from compress.distill.teachers import identify
from compress.distill.trainee import Trainee
from compress.distill.transfer import TransferSet
from compress.distill.views import View
from compress.distill.watch import Epoch, Watch
from compress.distill.world import ALONE, World
from compress.errors import DataError
from compress.tasks.task import Split


def train(
    model: nn.Module,
    transfer: TransferSet,
    validation: Split,
    schedule: Schedule,
    *,
    seed: int,
    checkpoint: Path,
    distillation: Distillation | None = None,
    world: World = ALONE,
    advance: Advance | None = None,
    checkpoint_seconds: float = 30.0,
) -> tuple[Epoch, ...]:
    """Train a model in place: on labels, on teachers, or on both.

    Args:
        model: maps (batch, ...) to logits (batch, classes); it is left on the CPU, in evaluation mode.
        transfer: what to learn on.
        validation: what to watch.
        schedule: epochs, batch size, learning rate, views.
        seed: of order, views and dropout.
        checkpoint: file that is written now and then, and continued from if it is there.
        distillation: the teachers and how to learn from them; None to train on labels alone.
        world: the processes that train together.
        advance: told after each epoch.
        checkpoint_seconds: how much training a kill may cost; every epoch ends with a checkpoint anyway.

    Returns:
        One entry per epoch, of those before an interruption too; in a process that does not lead, nothing.

    Raises:
        DataError: the test split is given, labels are missing, or a batch does not fit.
        ModelError: teacher and student do not fit, or the loss is not finite; the last good checkpoint stays.
    """
    _check_sizes(transfer, validation, schedule, world)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False  # the same weights every time
    device = choose_device(schedule.precision)
    torch.manual_seed(derive_seed(seed, "projectors"))
    projectors = check_distillation(model.cpu(), transfer, distillation, device)
    if distillation and not distillation.asks_teachers:
        distillation = None  # a weight of 0 is plain training, bit for bit
    file = Checkpoint(checkpoint, _identity(model, transfer, schedule, seed, distillation, device))
    if world.leads:
        file.set_aside_if_damaged()
        if distillation:
            ask_teachers(distillation, transfer, schedule, seed=seed, device=device, advance=advance)
    world.wait()
    state = file.read(device.name)
    learner = Learner(model, distillation.features if distillation else (), projectors)
    trainee = Trainee(learner, schedule, world, device, len(transfer) // schedule.batch_size)
    trainee.restore(state)
    lesson = _Lesson(transfer, schedule, seed, distillation, world, device)
    done = len(trainee.history)
    watch = Watch(validation, distillation, device, done, schedule.epochs, advance) if world.leads else None
    world.wait()
    with closing(lesson), closing(learner), global_batch_norms(model, world):
        for epoch in range(done, schedule.epochs):
            _train_epoch(trainee, lesson.losses(trainee, epoch), watch, file, checkpoint_seconds)
            world.wait()  # for the leader, however long that took
    model.load_state_dict(trainee.result.state_dict())
    model.cpu().eval()
    return tuple(trainee.history)


def _train_epoch(
    trainee: Trainee, losses: Iterator[Tensor], watch: Watch | None, file: Checkpoint, checkpoint_seconds: float
) -> None:
    """Take the steps that are left of an epoch; the process that watches keeps checkpoints, too."""
    trainee.learner.train()
    for loss in losses:
        trainee.learn(loss)
        if watch and file.age > checkpoint_seconds:
            file.write(trainee.state())
    mean = trainee.take_mean_loss()
    if watch:
        trainee.history.append(watch.end_of_epoch(len(trainee.history) + 1, trainee.result, mean))
        file.write(trainee.state())


class _Lesson:
    """The batches of a training, each with its loss."""

    def __init__(
        self,
        transfer: TransferSet,
        schedule: Schedule,
        seed: int,
        distillation: Distillation | None,
        world: World,
        device: Device,
    ) -> None:
        self._schedule, self._seed, self._world, self._device = schedule, seed, world, device
        self._distillation = distillation
        self._answers = Answers(distillation, transfer, schedule, seed, device) if distillation else None
        self._inputs = torch.from_numpy(transfer.inputs).to(device.name)
        self._labels = None if transfer.labels is None else torch.from_numpy(transfer.labels).to(device.name)

    def losses(self, trainee: Trainee, epoch: int) -> Iterator[Tensor]:
        """The loss of each step that is left of an epoch, computed when it is asked for."""
        count, size, view = len(self._inputs), self._schedule.batch_size, self._schedule.view_of(epoch)
        plan = View(count, self._schedule.augment, seed=self._seed, view=view, device=self._device.name)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(derive_seed(self._seed, "order", epoch)))
        order = order.to(self._device.name)
        if self._answers:
            self._answers.start(view)
        for batch in range(trainee.step - epoch * (count // size), count // size):
            index = self._world.share(order[batch * size : (batch + 1) * size])
            torch.manual_seed(derive_seed(self._seed, "dropout", trainee.step, self._world.rank))
            yield self._loss(trainee.forward, plan.of(self._inputs[index], index), index)

    def close(self) -> None:
        """Let go of the teacher."""
        if self._answers:
            self._answers.close()

    def _loss(self, learner: nn.Module, inputs: Tensor, index: Tensor) -> Tensor:
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with self._device.autocast():
            student = learner(inputs)
        # Losses that compare samples must see the whole batch: what a process knows of it, the others are told.
        gather = self._world.gather
        return training_loss(
            self._distillation,
            _each(gather, student),
            _each(gather, self._answers.of(inputs, index)) if self._answers else None,
            None if self._labels is None else gather(self._labels[index]),
            self._schedule.label_smoothing,
        )


def _each(
    gather: Callable[[Tensor], Tensor], answer: tuple[Tensor, tuple[Tensor, ...]]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    return gather(answer[0]), tuple(map(gather, answer[1]))


def _check_sizes(transfer: TransferSet, validation: Split, schedule: Schedule, world: World) -> None:
    if validation.name == "test":
        raise DataError(
            "train: got the test split; expected train and validation; the test split is for the final measurement only"
        )
    if schedule.augment and transfer.inputs.ndim != 4:
        raise DataError(
            f"{transfer.name}: samples of shape {transfer.inputs.shape[1:]} under augment; expected images"
            " (channels, height, width); write augment: null"
        )
    if schedule.batch_size > len(transfer):
        raise DataError(
            f"train: batch_size {schedule.batch_size} exceeds the {len(transfer)} training images; lower batch_size"
        )
    if schedule.batch_size % world.size:
        raise DataError(
            f"train: batch_size {schedule.batch_size} does not divide among {world.size} processes; expected a"
            " multiple; change one of them"
        )


def _identity(
    model: nn.Module,
    transfer: TransferSet,
    schedule: Schedule,
    seed: int,
    distillation: Distillation | None,
    device: Device,
) -> str:
    """Of the training: the untrained model too, so that no other network's weights come back in its place."""
    described = distillation.describe() if distillation else None
    precision = (device.name, device.bf16)
    parts = (identify(model), transfer.identity, schedule, seed, described, precision)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
