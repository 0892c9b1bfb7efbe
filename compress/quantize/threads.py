"""How many threads short operations are worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_WORTH_SHARING = 1 << 27  # multiply-accumulates


@contextmanager
def threads_for(macs: int) -> Iterator[None]:
    """One thread, unless the largest operation in the block is worth more.

    An operation ends when the last thread has come, and where other processes use the cores too, that one has to wait
    for its turn first. Learnt rounding is thousands of short operations: for the quickstart's student two threads on
    two busy cores took over 200 s of them, where one takes 3.

    Args:
        macs: multiply-accumulates of the largest.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(threads if macs >= _WORTH_SHARING else 1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
