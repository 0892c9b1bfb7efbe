"""One row per way to quantise: how far its logits are from float32's, and the table of all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    runs_in: str
    sqnr_db: float
    agreement: float
    size_bytes: int | None
    seconds: float


def compare(
    name: str, runs_in: str, logits: Tensor, expected: Tensor, *, size_bytes: int | None, seconds: float
) -> Row:
    """A row, shown at once: the whole table takes a while.

    Args:
        name: of the way to quantise.
        runs_in: what computed the logits.
        logits: (n, classes) of int8.
        expected: (n, classes) of float32.
        size_bytes: of the file, if there is one.
        seconds: that quantising took.
    """
    noise = (logits.double() - expected.double()).square().sum()
    row = Row(
        name=name,
        runs_in=runs_in,
        sqnr_db=float(10 * torch.log10(expected.double().square().sum() / noise)),
        agreement=float((logits.argmax(1) == expected.argmax(1)).double().mean()),
        size_bytes=size_bytes,
        seconds=seconds,
    )
    print(f"  {row.name} ({row.runs_in}): {row.sqnr_db:.2f} dB, {row.agreement:.3f}", flush=True)
    return row


def print_rows(rows: list[Row]) -> None:
    """The table."""
    print(f"\n{'':32}{'runs in':>14}{'SQNR, dB':>10}{'agreement':>11}{'kB':>7}{'seconds':>9}")
    for row in rows:
        size = "" if row.size_bytes is None else f"{row.size_bytes / 1000:.0f}"
        print(f"{row.name:32}{row.runs_in:>14}{row.sqnr_db:10.2f}{row.agreement:11.3f}{size:>7}{row.seconds:9.0f}")
