"""Where and in which number format training runs fastest: asked of the processor, never guessed from timings.

A timed choice would make two runs on one machine differ; a capability does not. bf16 autocast with channels_last
trains up to 13 times faster where the CPU multiplies bf16 itself (AMX or AVX512_BF16), and is slower where it does not.
There, grouped convolutions stay in float32: the backward pass of a depthwise one took 3.5 times as long in bf16, a
whole step of the quickstart's student 1.3 times (benchmarks/distillation/precision.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

Precision = Literal["auto", "float32"]
"""`auto`: bf16 where the hardware multiplies it; `float32`: nowhere, slower, and the same on every machine but for the
order of sums.
"""


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where training runs.

    name: `cuda` or `cpu`.
    bf16: whether the forward pass runs under bf16 autocast.
    threads: CPU threads, which order floating-point sums and so belong to the identity of a result.
    """

    name: str
    bf16: bool
    threads: int

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision for a forward pass, or nothing."""
        grouped = _GroupedInFloat32() if self.bf16 and self.name == "cpu" else nullcontext()
        with torch.autocast(self.name, dtype=torch.bfloat16, enabled=self.bf16), grouped:
            yield


def choose_device(precision: Precision = "auto") -> Device:
    """The GPU where there is one; bf16 where the hardware multiplies it, unless float32 is asked for."""
    cuda, cpu = torch.cuda.is_available(), torch.cpu.get_capabilities()
    bf16 = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if cuda
        else bool(cpu.get("amx_bf16") or cpu.get("avx512_bf16"))
    )
    name = "cuda" if cuda else "cpu"
    return Device(name=name, bf16=bf16 and precision == "auto", threads=torch.get_num_threads())


class _GroupedInFloat32(TorchFunctionMode):
    """Convolutions of several groups see float32 and give float32, whatever autocast would make of them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _CONVOLUTIONS or (args[6] if len(args) > 6 else kwargs.get("groups", 1)) == 1:
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            return func(*map(_float32, args), **{name: _float32(value) for name, value in kwargs.items()})


_CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)


def _float32(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) else value
