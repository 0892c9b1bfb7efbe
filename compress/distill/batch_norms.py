"""Batch norms that see the batches of all processes; torch's own SyncBatchNorm does not run on CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compress.distill.world import World
from compress.errors import ModelError


class _Sum(torch.autograd.Function):
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


class _GlobalBatchNorm(_BatchNorm):
    def forward(self, input: Tensor) -> Tensor:
        """As torch's, with the global batch's mean and variance while training."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        axes = (0, *range(2, input.ndim))
        shape = (1, -1, *(1 for _ in axes[1:]))
        values = input.float()
        count = values.numel() // values.shape[1] * dist.get_world_size()
        mean = _Sum.apply(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            self._keep(mean, variance * (count / (count - 1)))
        scaled = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(input.dtype)

    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


class GlobalBatchNorm1d(_GlobalBatchNorm, nn.BatchNorm1d):
    """For (batch, channels) and (batch, channels, length)."""


class GlobalBatchNorm2d(_GlobalBatchNorm, nn.BatchNorm2d):
    """For (batch, channels, height, width)."""


_GLOBAL: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: GlobalBatchNorm1d,
    nn.BatchNorm2d: GlobalBatchNorm2d,
    nn.SyncBatchNorm: nn.SyncBatchNorm,  # sees the global batch by itself
}


@contextmanager
def global_batch_norms(model: nn.Module, world: World) -> Iterator[None]:
    """While it lasts, the model's batch norms see the global batch.

    Raises:
        ModelError: the model has batch norms that cannot.
    """
    norms: list[nn.Module] = []
    if world.size > 1:
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        if type(norm) not in _GLOBAL:
            raise ModelError(
                f"train: {type(norm).__name__} would see a part of each batch in {world.size} processes; expected"
                " torch's own BatchNorm1d or BatchNorm2d; use one of them, or train in one process"
            )
    kinds = [type(norm) for norm in norms]
    for norm in norms:
        norm.__class__ = _GLOBAL[type(norm)]
    try:
        yield
    finally:
        for norm, kind in zip(norms, kinds, strict=True):
            norm.__class__ = kind
