"""Which function of a runtime's library a block of executed instructions is of.

LiteRT's aarch64 wheel keeps its table of symbols, XNNPACK's kernels among them. Its code does not depend on where it is
loaded: a block's instructions are found by their bytes alone. ONNX Runtime's wheel is stripped.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from compress.targets.arm64.installation import locate

LIBRARY = Path("site/ai_edge_litert/libpywrap_litert_common.so")
SYMBOLS, EXECUTABLE, FUNCTION = 2, 4, 2
"""SHT_SYMTAB, SHF_EXECINSTR and STT_FUNC of the ELF format (System V ABI, chapter 4)."""


class _Section(NamedTuple):
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """The functions of a library.

    code: of its executable sections: address, and bytes.
    starts, names: of every function, by address.
    """

    code: tuple[tuple[int, bytes], ...]
    starts: tuple[int, ...]
    names: tuple[str, ...]

    def find(self, words: Sequence[int]) -> frozenset[str]:
        """Every function that has these instructions, one after the other; several may share a loop."""
        wanted = struct.pack(f"<{len(words)}I", *words)
        places = (bisect_right(self.starts, base + at) for base, code in self.code for at in _find_all(code, wanted))
        return frozenset(self.names[place - 1] for place in places if place)


@cache
def load_kernels(home: Path) -> Kernels:
    """Those of LiteRT, as installed for the emulated cores.

    Raises:
        FileNotFoundError: nothing is installed in `home`.
    """
    return read_kernels((locate(home) / LIBRARY).read_bytes())


def read_kernels(library: bytes) -> Kernels:
    """The functions of a 64-bit little-endian ELF file; none where it is stripped."""
    sections = _read_sections(library)
    functions = sorted(
        {entry for table in sections if table.kind == SYMBOLS for entry in _read(library, sections, table)}
    )
    return Kernels(
        code=tuple((s.address, library[s.offset : s.offset + s.size]) for s in sections if s.flags & EXECUTABLE),
        starts=tuple(address for address, _ in functions),
        names=tuple(name for _, name in functions),
    )


def _read_sections(library: bytes) -> list[_Section]:
    (at,), (size, n) = struct.unpack_from("<Q", library, 40), struct.unpack_from("<HH", library, 58)
    return [_Section(*struct.unpack_from("<IQQQQI", library, at + size * k + 4)) for k in range(n)]


def _read(library: bytes, sections: list[_Section], table: _Section) -> Iterator[tuple[int, str]]:
    names = sections[table.link].offset
    content = library[table.offset : table.offset + table.size]
    for name, info, _, _, address, _ in struct.iter_unpack("<IBBHQQ", content):
        if info & 15 == FUNCTION and address:
            start = names + name
            yield address, library[start : library.index(b"\0", start)].decode()


def _find_all(code: bytes, wanted: bytes) -> Iterator[int]:
    at = code.find(wanted)
    while at >= 0:
        if at % 4 == 0:
            yield at
        at = code.find(wanted, at + 4 - at % 4)
