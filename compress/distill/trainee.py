"""Everything that changes while a model trains, and how a checkpoint keeps it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from compress.distill.checkpoint import State
from compress.distill.device import Device
from compress.distill.features import Learner
from compress.distill.schedule import Schedule
from compress.distill.watch import Epoch
from compress.distill.world import World
from compress.errors import ModelError


class Trainee:
    """A learner with its optimiser, its average, and how far it has come.

    step: steps taken, over all epochs.
    loss_sum: of the steps of the running epoch.
    history: of the finished epochs.
    """

    def __init__(
        self, learner: Learner, schedule: Schedule, world: World, device: Device, steps_per_epoch: int
    ) -> None:
        """Move the learner to the device and make its optimiser.

        Args:
            learner: student and projectors.
            schedule: of learning rate and averaging.
            world: whose gradients are averaged.
            device: where to train.
            steps_per_epoch: that it takes.
        """
        self.learner, self._schedule, self._world = learner, schedule, world
        self._steps_per_epoch, self._steps = steps_per_epoch, steps_per_epoch * schedule.epochs
        learner.to(device.name)
        if all(parameter.ndim < 5 for parameter in learner.parameters()):  # 3-d convolutions have another layout
            learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average: AveragedModel | None = None
        if schedule.ema_decay is not None:
            average = get_ema_multi_avg_fn(schedule.ema_decay)
            self._average = AveragedModel(learner.student, multi_avg_fn=average, use_buffers=True)
        self.forward = world.wrap(learner)
        self._optimizer = schedule.make_optimizer(learner)
        self.step = 0
        self.loss_sum = torch.zeros((), device=device.name)
        self.history: list[Epoch] = []

    @property
    def result(self) -> nn.Module:
        """The model as it would be handed over now: the average where one is kept."""
        return self._average.module if self._average else self.learner.student

    def learn(self, loss: Tensor) -> None:
        """One step down the gradient of a loss.

        Raises:
            ModelError: the loss is not finite; no weight has been changed.
        """
        shown = self._world.mean(loss.detach())
        if not torch.isfinite(shown):
            raise ModelError(
                f"train: the loss became {shown.item()} at step {self.step + 1} of {self._steps}; expected a finite"
                f" number; lower learning_rate ({self._schedule.learning_rate:g}); the last checkpoint, if any, stays"
            )
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate(self.step, self._steps)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        if self._average:
            self._average.update_parameters(self.learner.student)
            self._copy_counts(self._average.module)
        self.loss_sum += shown
        self.step += 1

    def take_mean_loss(self) -> float:
        """Mean loss of the epoch that ends here."""
        mean = float(self.loss_sum) / self._steps_per_epoch
        self.loss_sum.zero_()
        return mean

    @torch.no_grad()
    def _copy_counts(self, average: nn.Module) -> None:
        """A number of batches has no average: rounded down at every step, it would count wrongly."""
        for theirs, ours in zip(average.buffers(), self.learner.student.buffers(), strict=True):
            if not ours.is_floating_point():
                theirs.copy_(ours)

    def state(self) -> State:
        """All of it, for a checkpoint.

        Raises:
            ModelError: a weight is not finite, so that the checkpoint before is the last good one.
        """
        for name, weight in self.learner.state_dict().items():
            if not torch.isfinite(weight).all():
                raise ModelError(
                    f"train: {name} is not finite after step {self.step} of {self._steps}; expected numbers;"
                    f" lower learning_rate ({self._schedule.learning_rate:g}); the last checkpoint, if any, stays"
                )
        return {
            "learner": self.learner.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.state_dict() if self._average else None,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "history": [(epoch.loss, epoch.validation_accuracy, epoch.agreement) for epoch in self.history],
        }

    def restore(self, state: State | None) -> None:
        """Go on from a checkpoint, if there is one."""
        if state is None:
            return
        self.learner.load_state_dict(state["learner"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average:
            self._average.load_state_dict(state["average"])
        self.step, self.loss_sum = state["step"], state["loss_sum"]
        self.history = [
            Epoch(loss=loss, validation_accuracy=accuracy, agreement=agreement)
            for loss, accuracy, agreement in state["history"]
        ]
