"""The IDX file format of MNIST and its relatives: magic, sizes as big-endian integers, then bytes."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.errors import DataError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, sha256: str | None = None, mend: str = "get the file anew") -> NDArray[np.uint8]:
    """Read a gzip-compressed IDX file of unsigned bytes.

    Args:
        path: the .gz file.
        sha256: what the content must hash to, once unpacked; None for any.
        mend: what a person should do about a bad file; ends the message.

    Returns:
        An array of the shape the file declares.

    Raises:
        DataError: the file is missing, is no gzip, is no IDX of bytes, is shorter or longer than it declares, or is not
            the one that `sha256` names.
    """
    if not path.is_file():
        raise DataError(f"{path}: missing; expected an IDX file in gzip; {mend}")
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as gzip ({error}); expected an IDX file in gzip; {mend}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise DataError(
            f"{path}: starts with {content[:4].hex() or 'nothing'}; expected IDX of bytes (000008..); {mend}"
        )
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path}: ends inside its header; expected {dimensions} sizes; {mend}")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise DataError(f"{path}: holds {len(content) - start} values; its header says {shape}; {mend}")
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise DataError(f"{path}: its content has sha256 {found}; expected {sha256}, as published; {mend}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
