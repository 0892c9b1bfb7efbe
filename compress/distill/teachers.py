"""Whom a student learns from: a module, any callable that returns probabilities, or several of them.

- A teacher answers under no_grad, and a module is put into evaluation mode at every call: no `train()` somewhere else
  can make its batch norms or dropouts move.
- It answers in float32, also where the student trains in bf16: bf16 would round its logits 12 to 36 times as coarsely
  as the cache does, and a cached answer costs its time once.
- Each teacher normalises its own input. A task's images stay in [0, 1].
- The mean of the teachers' probabilities gives the student the same gradient as the mean of its divergences from each,
  so several teachers cost one target; the mean of logits is another target (a geometric mean), and is named so.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.distill.device import Device
from compress.errors import ModelError

Combine = Literal["mean_probability", "mean_logit"]

_SMALLEST_PROBABILITY = 1e-6
"""Probabilities below it count as it, so that a logarithm exists."""


class Teacher(Protocol):
    """Anything that can be asked for logits."""

    @property
    def identity(self) -> str:
        """A hash that changes when its answers could."""

    def logits(self, inputs: Tensor, device: Device) -> Tensor:
        """Answer.

        Args:
            inputs: (batch, ...), on any device; as the student sees them.
            device: where to compute.

        Returns:
            (batch, classes) float32 on `device`.
        """


class Normalized(nn.Module):
    """A network that was trained on (x - mean) / std per channel, for inputs in [0, 1] like everyone else's."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        """Keep the statistics.

        Args:
            model: maps normalised (batch, channels, height, width) to logits.
            mean: one value per channel, or one for all.
            std: likewise; above 0.

        Raises:
            ModelError: the statistics do not fit.
        """
        super().__init__()
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise ModelError(
                f"normalize: mean {list(mean)}, std {list(std)}; expected one of each per channel, std above 0;"
                " correct them"
            )
        self.model = model
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32)[:, None, None], persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of (batch, channels, height, width) in [0, 1]."""
        answer: Tensor = self.model((inputs - self.mean) / self.std)
        return answer


@dataclass(frozen=True, kw_only=True, eq=False)
class ModuleTeacher:
    """A torch module.

    model: maps (batch, ...) to logits (batch, classes).
    code: of what is not seen in the module: a hash of the code that it runs, the arguments it was built with.
    """

    model: nn.Module
    code: str = ""

    @property
    def identity(self) -> str:
        """Of the module as it is now: `identify`, and `code`."""
        return hashlib.sha256(f"{self.code} {identify(self.model)}".encode()).hexdigest()

    @torch.no_grad()
    def logits(self, inputs: Tensor, device: Device) -> Tensor:
        """See `Teacher`."""
        return forward(self.model, inputs, dataclasses.replace(device, bf16=False))


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbabilityTeacher:
    """Any callable that returns class probabilities: a scikit-learn ensemble, a model file, a service.

    predict: (batch, ...) float32 array to probabilities (batch, classes), rows that sum to 1.
    identity: a name that changes when its answers could; it keys the cache.
    """

    predict: Callable[[NDArray[np.float32]], NDArray[np.floating]]
    identity: str

    def logits(self, inputs: Tensor, device: Device) -> Tensor:
        """The logarithms of its probabilities: logits with the same softmax.

        Raises:
            ModelError: it did not return probabilities.
        """
        images = np.array(inputs.detach().cpu().numpy(), order="C")  # a copy: the callable may write into it
        answer = np.asarray(self.predict(images), dtype=np.float64)
        if answer.ndim != 2 or len(answer) != len(inputs) or not answer.size:
            raise ModelError(
                f"teacher {self.identity}: returned shape {answer.shape} for {len(inputs)} samples; expected"
                f" ({len(inputs)}, classes) probabilities; return one row per sample"
            )
        off = np.abs(answer.sum(axis=1) - 1).max()
        if not np.isfinite(answer).all() or answer.min() < 0 or off > 1e-3:
            raise ModelError(
                f"teacher {self.identity}: returned values from {answer.min():g} to {answer.max():g} in rows that miss"
                f" 1 by up to {off:g}; expected probabilities; return predict_proba, not decisions or logits"
            )
        return torch.from_numpy(np.log(np.maximum(answer, _SMALLEST_PROBABILITY))).float().to(device.name)


def identify(model: nn.Module) -> str:
    """A hash of everything that is seen in a module and can change its answers.

    Weights and buffers, the classes of its parts, and their attributes that are plain values: the number of heads of an
    attention, say, is in no weight's shape.
    """
    digest = hashlib.sha256(repr(model).encode())
    for name, part in model.named_modules():
        attributes = {key: value for key, value in vars(part).items() if _is_plain(value) and key != "training"}
        kind = f"{type(part).__module__}.{type(part).__qualname__}"
        digest.update(f"{name} {kind} {sorted(attributes.items())!r}".encode())
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module, whose layers have the names that the user knows."""
    return model.model if isinstance(model, Normalized) else model


def combine_logits(answers: Sequence[Tensor], combine: Combine, temperature: float) -> Tensor:
    """One target from several teachers' logits.

    Args:
        answers: each (batch, classes), float32.
        combine: `mean_probability` averages the softened probabilities, as an ensemble does (Hinton et al. 2015);
            `mean_logit` the logits, centred per row so that no teacher's offset counts (Ba & Caruana 2014).
        temperature: at which `mean_probability` softens.

    Returns:
        (batch, classes) z with softmax(z / temperature) equal to the mean; a single teacher's logits as they are.
    """
    if len(answers) == 1:
        return answers[0]
    stacked = torch.stack(tuple(answers))
    if combine == "mean_logit":
        return (stacked - stacked.mean(dim=2, keepdim=True)).mean(dim=0)
    log_probabilities = torch.log_softmax(stacked / temperature, dim=2)
    return temperature * (torch.logsumexp(log_probabilities, dim=0) - np.log(len(answers)))


def forward(model: nn.Module, inputs: Tensor, device: Device) -> Tensor:
    """Logits (batch, classes) in float32, in evaluation mode; gradients as the caller has them."""
    model.to(device.name).eval()
    inputs = inputs.to(device.name)
    if inputs.ndim == 4 and all(parameter.ndim < 5 for parameter in model.parameters()):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    with device.autocast():
        answer: Tensor = model(inputs)
    return answer.float()


@torch.no_grad()
def logits_of(model: nn.Module, inputs: Tensor, device: Device, batch_size: int = 500) -> Tensor:
    """Logits (n, classes) of any number of inputs (n, ...), batch by batch, on `device`.

    In float32, however the model was trained: this measures a model, and it is exported in float32.
    """
    exact = dataclasses.replace(device, bf16=False)
    return torch.cat([forward(model, batch, exact) for batch in inputs.split(batch_size)])
