"""Converters talk: to `print`, `warnings`, `logging`, and from C++ straight to the file descriptors. Nobody asked."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet() -> Iterator[None]:
    """Discard everything that is written to stdout, stderr, `warnings` and `logging` in the block.

    Works on file descriptors, hence for the whole process: what other threads print meanwhile is lost too.
    """
    disabled = logging.root.manager.disable
    unheard = io.StringIO()
    with _deaf_descriptors(), redirect_stdout(unheard), redirect_stderr(unheard), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


@contextmanager
def _deaf_descriptors() -> Iterator[None]:
    """Point the descriptors 1 and 2, which C++ writes to, at a file that nobody reads."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            for number, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
