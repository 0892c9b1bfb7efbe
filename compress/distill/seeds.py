"""One random stream per purpose, so that the order of the samples never follows from the views or the dropout."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed of its own for one purpose of a run.

    Args:
        seed: of the run.
        purpose: what it is for, e.g. `("order", epoch)`; other words give an unrelated stream.

    Returns:
        0 to 2**63 - 1; the same on every machine and in every version.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
