"""Where and in which number format training runs fastest: asked of the processor, never guessed from timings.

A timed choice would make two runs on one machine differ; a capability does not. bf16 autocast with channels_last
trains up to 13 times faster where the CPU multiplies bf16 itself (AMX or AVX512_BF16), and is slower where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


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
        with torch.autocast(self.name, dtype=torch.bfloat16, enabled=self.bf16):
            yield


def choose_device() -> Device:
    """The GPU where there is one; bf16 where the hardware multiplies it; plain float32 otherwise."""
    threads = torch.get_num_threads()
    if torch.cuda.is_available():
        return Device(name="cuda", bf16=torch.cuda.is_bf16_supported(including_emulation=False), threads=threads)
    cpu = torch.cpu.get_capabilities()
    return Device(name="cpu", bf16=bool(cpu.get("amx_bf16") or cpu.get("avx512_bf16")), threads=threads)
