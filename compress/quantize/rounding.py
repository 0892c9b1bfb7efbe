"""Learnt rounding: up or down, so that a layer's response survives rather than each of its weights.

The nearest integer is best for a weight alone and not for a sum of them: errors that are independent add up where
errors that are chosen together cancel. Nagel et al. 2020 ("Up or Down? Adaptive Rounding for Post-Training
Quantization", sections 3.2 and 3.3) learn the choice by gradient descent on the layer's output after the activation,
its inputs being what the quantised layers before it produce. What differs here: each filter's error is counted in units
of what nearest rounding leaves it, so that one weight of the regulariser serves layers of any scale; and a filter that
did not gain keeps nearest rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from compress.quantize.parameters import WEIGHT_MAX
from compress.quantize.threads import threads_for

_STRETCH_LOW, _STRETCH_HIGH = -0.1, 1.1  # gamma and zeta: the rectified sigmoid reaches 0 and 1
_WARM_UP = 0.2  # of the iterations before the regulariser starts
_BETA_FIRST, _BETA_LAST = 20.0, 2.0  # its exponent: first only pulls those that are nearly decided, then all
_SMALLEST = 1e-20


@dataclass(frozen=True, kw_only=True)
class LearntRounding:
    """How rounding is learnt.

    iterations: of Adam per layer.
    rows: how many output positions of a layer are learnt from; those of all calibration inputs are drawn from evenly.
    batch_size: positions in an iteration.
    learning_rate: of Adam.
    regularization: weight of the term that pushes every weight to up or down.
    seed: of the positions and batches.
    """

    iterations: int = 200
    rows: int = 8192
    batch_size: int = 512
    learning_rate: float = 0.1
    regularization: float = 0.3
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """What a layer is to reproduce; a convolution is a product with its input's windows.

    rows: (groups, n, taps) windows of the quantised input, in random order.
    targets: (groups, n, filters) float outputs after the activation, for the float input.
    bias: (groups, 1, filters).
    activation: applied to products; the identity where no activation follows.
    """

    rows: Tensor
    targets: Tensor
    bias: Tensor
    activation: Callable[[Tensor], Tensor]

    def error(self, weight: Tensor, chosen: slice = slice(None)) -> Tensor:
        """Mean squared error per filter, (groups, filters), of weights (groups, filters, taps) on `chosen` rows."""
        response = self.activation(torch.baddbmm(self.bias, self.rows[:, chosen], weight.transpose(1, 2)))
        return (response - self.targets[:, chosen]).square().mean(1)


def learn_rounding(task: Reconstruction, weight: Tensor, scales: Tensor, options: LearntRounding) -> Tensor:
    """Integers in [-127, 127], each weight rounded up or down; no filter's error is above that of nearest rounding.

    Args:
        task: on which rows of input, to which response.
        weight: (groups, filters, taps) float32.
        scales: (groups, filters, 1), the step of every filter.
        options: how long and how.

    Returns:
        (groups, filters, taps) float32 of whole numbers.
    """
    steps = weight / scales
    nearest = steps.round().clamp(-WEIGHT_MAX, WEIGHT_MAX)
    unit = task.error(nearest * scales)
    with threads_for(min(options.batch_size, task.rows.shape[1]) * weight.numel()):
        up = _learn_up(task, steps, scales, unit.clamp(min=_SMALLEST), options)
    learnt = (steps.floor() + up).clamp(-WEIGHT_MAX, WEIGHT_MAX)
    better = task.error(learnt * scales) < unit
    return torch.where(better[..., None], learnt, nearest)


def _learn_up(task: Reconstruction, steps: Tensor, scales: Tensor, unit: Tensor, options: LearntRounding) -> Tensor:
    """1 where a weight is to be rounded up, 0 where down."""
    random = torch.Generator().manual_seed(options.seed)
    share = (steps - steps.floor() - _STRETCH_LOW) / (_STRETCH_HIGH - _STRETCH_LOW)
    variable = torch.logit(share).requires_grad_()
    optimizer = torch.optim.Adam([variable], options.learning_rate)
    warm_up = int(options.iterations * _WARM_UP)
    count = task.rows.shape[1]
    size = min(options.batch_size, count)
    for iteration in range(options.iterations):
        first = int(torch.randint(count - size + 1, (), generator=random))  # a view: gathering would cost more
        up = _rectified_sigmoid(variable)
        weight = (steps.floor() + up).clamp(-WEIGHT_MAX, WEIGHT_MAX) * scales
        loss = (task.error(weight, slice(first, first + size)) / unit).sum()
        if iteration >= warm_up:
            progress = (iteration - warm_up) / (options.iterations - warm_up)
            beta = _BETA_LAST + (_BETA_FIRST - _BETA_LAST) * (1 - progress)
            loss = loss + options.regularization * (1 - (2 * up - 1).abs().pow(beta)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (_rectified_sigmoid(variable.detach()) >= 0.5).float()


def _rectified_sigmoid(variable: Tensor) -> Tensor:
    return (variable.sigmoid() * (_STRETCH_HIGH - _STRETCH_LOW) + _STRETCH_LOW).clamp(0, 1)
