"""What the blocks of the zoo are made of, and what they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Inputs = Literal["image", "row", "sequence", "signal"]
SHAPES = {"image": (4, 8, 8), "row": (12,), "sequence": (6, 12), "signal": (4, 16)}


class Block(nn.Module):
    """A convolution or linear layer, and `function` of its output and `layers`."""

    def __init__(self, inputs: Inputs, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        first: dict[str, Callable[[], nn.Module]] = {
            "image": lambda: nn.Conv2d(4, 8, 3, padding=1),
            "signal": lambda: nn.Conv1d(4, 8, 3, padding=1),
        }
        self.first = first.get(inputs, lambda: nn.Linear(12, 16))()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.function(self.first(image), *self.layers)


def inputs_of(kind: Inputs, n: int) -> Tensor:
    """(n, ...) inputs between -1 and 2."""
    generator = torch.Generator().manual_seed(3)
    return torch.rand(n, *SHAPES[kind], generator=generator) * 3 - 1


def convolve(filters: int, kernel: int | tuple[int, int], channels: int = 8, **rest: object) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(channels, filters, kernel, **rest)  # type: ignore[arg-type]


def upwards(filters: int, kernel: int, **rest: object) -> Callable[[], nn.Module]:
    return lambda: nn.ConvTranspose2d(8, filters, kernel, **rest)  # type: ignore[arg-type]


def gated(gate: Callable[[Tensor], Tensor]) -> Callable[[Tensor, nn.Module, nn.Module], Tensor]:
    return lambda x, squeeze, excite: x * gate(excite(F.relu(squeeze(F.adaptive_avg_pool2d(x, 1)))))


def attention(x: Tensor, project: nn.Module, out: nn.Module) -> Tensor:
    n, length, width = x.shape
    q, k, v = project(x).reshape(n, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4).unbind(0)
    shares = torch.softmax(q @ k.transpose(-2, -1) * (width // 2) ** -0.5, -1)
    attended: Tensor = out((shares @ v).transpose(1, 2).reshape(n, length, width))
    return attended


class SelfAttention(nn.Module):
    """torch's own module, which calls scaled_dot_product_attention."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return attended


def plain(x: Tensor, layer: nn.Module) -> Tensor:
    result: Tensor = layer(x)
    return result
