"""Several processes that train one model: torchrun starts them, gradients are averaged over all.

- The global batch is what the recipe says, whatever the number of processes: each takes its share of every batch, and
  batch norms use the statistics of the whole batch. So two processes train what one would.
- A process that dies ends the others: their next exchange fails, within a minute at the latest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from compress.errors import ToolError

PATIENCE = timedelta(seconds=45)
"""How long a process waits for the others' part of one step."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes of one training.

    rank: of this one, from 0.
    size: how many there are.
    patient: a process group that waits for as long as it takes; None for one process.
    """

    rank: int = 0
    size: int = 1
    patient: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a global batch (n,)."""
        return batch[self.rank :: self.size]

    def wrap(self, learner: nn.Module) -> nn.Module:
        """The module with its gradients averaged over all processes."""
        return DistributedDataParallel(learner) if self.size > 1 else learner

    def wait(self) -> None:
        """Until all processes have come here, however long one of them takes."""
        if self.size > 1:
            dist.barrier(group=self.patient)

    def tell(self, news: object) -> None:
        """Send something picklable from the leader to all others, which `hear` it."""
        if self.size > 1:
            dist.broadcast_object_list([news], src=0, group=self.patient)

    def hear(self) -> Any:
        """What the leader tells, however long it takes."""
        heard: list[Any] = [None]
        dist.broadcast_object_list(heard, src=0, group=self.patient)
        return heard[0]

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes of a scalar."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
            value /= self.size
        return value


ALONE = World()
"""One process."""


def world_size() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_follower() -> bool:
    """Whether torchrun started this process, and another one leads."""
    return world_size() > 1 and os.environ["RANK"] != "0"


@contextmanager
def open_world(device_name: str) -> Iterator[World]:
    """The processes that torchrun started, or this one alone.

    Args:
        device_name: `cuda` exchanges through NCCL, `cpu` through gloo.

    Raises:
        ToolError: another process died or hangs.
    """
    size = world_size()
    if size == 1:
        yield ALONE
        return
    if device_name == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device_name == "cuda" else "gloo", timeout=PATIENCE)
    try:
        patient = dist.new_group(backend="gloo", timeout=timedelta(days=7))
        yield World(rank=dist.get_rank(), size=size, patient=patient)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error) or "Connection closed" in str(error):
            raise ToolError(
                f"process {os.environ.get('RANK')} of {size}: another process of this training died or hangs"
                f" ({str(error).split('. ')[0]}); run the same command again, it goes on from the last checkpoint"
            ) from error
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


class _SumOverProcesses(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes; torch's own SyncBatchNorm does not run on CPUs."""

    def forward(self, input: Tensor) -> Tensor:
        """As BatchNorm2d, with the global batch's mean and variance while training."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        count = values.numel() // values.shape[1] * dist.get_world_size()
        mean = _SumOverProcesses.apply(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self._keep(mean, variance * (count / max(count - 1, 1)))
        scaled = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        return (scaled * self.weight[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


@contextmanager
def global_batch_norms(model: nn.Module, world: World) -> Iterator[None]:
    """While it lasts, the model's 2-d batch norms see the global batch."""
    norms = [module for module in model.modules() if type(module) is nn.BatchNorm2d] if world.size > 1 else []
    for norm in norms:
        norm.__class__ = GlobalBatchNorm2d
    try:
        yield
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm2d
