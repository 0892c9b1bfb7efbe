"""The counter's caches, against a few lines of Python that keep the lines of each set in the order of their use."""

from __future__ import annotations

import ctypes
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from compress.targets.arm64.compiler import compile_library
from compress.targets.arm64.installation import HERE

LINE = 64
Access = tuple[int, int, bool]
"""Address, bytes, whether it is a store."""


class Traffic(ctypes.Structure):
    _fields_ = [("misses", ctypes.c_uint64), ("writebacks", ctypes.c_uint64)]


class Cache:
    """The oracle: a level and all below it."""

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        (kib, self.ways), *rest = sizes
        self.sets = kib * 1024 // LINE // self.ways
        self.lines: defaultdict[int, OrderedDict[int, bool]] = defaultdict(OrderedDict)
        self.next = Cache(rest) if rest else None
        self.misses = self.writebacks = 0

    def access(self, line: int, store: bool, whole: bool = False) -> None:
        lines = self.lines[(line + 1) % self.sets]
        changed = store
        if line in lines:
            changed |= lines.pop(line)
        else:
            self.misses += not whole
            if len(lines) == self.ways:
                victim, was_changed = lines.popitem(last=False)
                self.writebacks += was_changed
                if self.next and was_changed:
                    self.next.access(victim, True, whole=True)
            if self.next and not whole:
                self.next.access(line, False)
        lines[line] = changed


@pytest.fixture
def simulate(tmp_path: Path) -> ctypes.CDLL:
    compile_library([HERE / "caches.c"], tmp_path / "caches.so")
    library = ctypes.CDLL(str(tmp_path / "caches.so"))
    library.make_caches.restype = ctypes.c_bool
    library.read_traffic.restype = Traffic
    library.access_caches.argtypes = [ctypes.c_uint64, ctypes.c_uint32, ctypes.c_bool]
    return library


def run(library: ctypes.CDLL, accesses: Iterable[Access], levels: int) -> list[tuple[int, int]]:
    for address, count, store in accesses:
        library.access_caches(address, count, store)
    found = [library.read_traffic(level) for level in range(levels)]
    return [(traffic.misses, traffic.writebacks) for traffic in found]


def test_random_accesses_hit_and_miss_as_in_the_oracle(simulate: ctypes.CDLL) -> None:
    assert simulate.make_caches(b"2:2+6:4+16:16")
    oracle = Cache([(2, 2), (6, 4), (16, 16)])
    random = np.random.default_rng(0)
    accesses = [
        (int(address), int(count), bool(store))
        for address, count, store in zip(
            random.integers(0, 32 * 1024, 20_000),
            random.choice([1, 8, 16], 20_000),
            random.integers(0, 2, 20_000),
            strict=True,
        )
    ]
    for address, count, store in accesses:
        for line in range(address // LINE, (address + count - 1) // LINE + 1):
            oracle.access(line, store)
    expected, level = [], oracle
    while level:
        expected.append((level.misses, level.writebacks))
        level = level.next
    assert run(simulate, accesses, 3) == expected
    assert all(misses > writebacks > 0 for misses, writebacks in expected)


def test_what_fits_is_missed_once_and_what_does_not_every_time(simulate: ctypes.CDLL) -> None:
    """A sweep over 4 KiB, three times: 64 lines once in a cache of 4 KiB, all of them each time in one of 2 KiB."""
    assert simulate.make_caches(b"2:32+4:64")
    sweep = [(address, 16, False) for _ in range(3) for address in range(0, 4096, 16)]
    assert run(simulate, sweep, 2) == [(3 * 64, 0), (64, 0)]


def test_an_access_across_two_lines_touches_both(simulate: ctypes.CDLL) -> None:
    assert simulate.make_caches(b"2:2")
    assert run(simulate, [(60, 8, True)], 1) == [(2, 0)]


@pytest.mark.parametrize("text", [b"", b"32", b"32:0", b"0:4", b"32:4+", b"32:4,64:4", b"1:3", b"1:2+1:2+1:2+1:2"])
def test_nonsense_is_refused(simulate: ctypes.CDLL, text: bytes) -> None:
    assert not simulate.make_caches(text)
