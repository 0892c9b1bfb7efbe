"""Several processes that train one model: torchrun starts them, gradients are averaged over all.

- The global batch is what the recipe says, whatever the number of processes: each takes its share of every batch,
  batch norms use the statistics of the whole batch, and losses that compare samples see all of it. So two processes
  train what one would.
- A process that dies ends the others at once, and one that hangs in a step ends them within a minute: their next
  exchange fails. Only the leader may take longer, for what it does alone (asking a teacher, measuring an epoch).
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
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from compress.errors import ToolError

PATIENCE = timedelta(seconds=45)
"""How long a process waits for the others' part of one step."""

GATHERING = timedelta(minutes=30)
"""How long a process waits at the start for the others: each reads the data first, and one may have to fetch it."""

ALONE_IN_WORK = timedelta(days=7)
"""How long the others wait for the leader where it works alone."""

_BROKEN = ("gloo", "nccl", "connection", "timed out", "timeout")
"""What torch says when an exchange fails: some of its errors have no class of their own, and some not even a place."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes of one training.

    rank: of this one, from 0.
    size: how many there are.
    patient: a process group that waits for as long as the leader takes; None for one process.
    """

    rank: int = 0
    size: int = 1
    patient: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a global batch (n, ...); n must be a multiple of `size`."""
        return batch[self.rank :: self.size]

    def gather(self, part: Tensor) -> Tensor:
        """The global batch of which each process has its `share`, in the order it had.

        Gradients come back so that `wrap` averages them to the gradient of a loss of the whole batch, provided that
        every process computes that same loss.
        """
        return _Gather.apply(part, self) if self.size > 1 else part

    def wrap(self, learner: nn.Module) -> nn.Module:
        """The module with its gradients averaged over all processes."""
        # A static graph may leave parameters unused, as one process alone may; the search in every step is not needed.
        return DistributedDataParallel(learner, static_graph=True) if self.size > 1 else learner

    def wait(self) -> None:
        """Until all processes have come here, however long the leader takes."""
        if self.size == 1:
            return
        if self.leads:
            self.tell(None)
        else:
            self.hear()
        dist.barrier()

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
    if world_size() == 1:
        yield ALONE
        return
    if device_name == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        _join("nccl" if device_name == "cuda" else "gloo")
        patient = dist.new_group(backend="gloo", timeout=ALONE_IN_WORK)
        yield World(rank=dist.get_rank(), size=dist.get_world_size(), patient=patient)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or any(word in str(error).lower() for word in _BROKEN):
            raise ToolError(
                f"process {os.environ['RANK']} of {world_size()}: another process of this training died or hangs"
                f" ({_first_sentence(error)}); expected all of them to the end; run the same command again, it goes on"
                " from the last checkpoint"
            ) from error
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _join(backend: str) -> None:
    """Meet the others with much patience, then exchange with little."""
    store, rank, size = next(rendezvous("env://", timeout=GATHERING))
    store.set(f"here/{rank}", "")
    store.wait([f"here/{each}" for each in range(size)], GATHERING)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)


def _first_sentence(error: RuntimeError) -> str:
    """Without the place in torch's source that gloo puts before it."""
    text = str(error).splitlines()[0]
    return text[text.find("] ") + 2 if text.startswith("[") else 0 :].split(". ")[0].rstrip(".")


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, world: World) -> Tensor:
        ctx.world = world
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(world.size)]
        dist.all_gather(parts, part.contiguous())
        return torch.stack(parts, dim=1).flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.world.share(gradients[0]) * ctx.world.size, None
