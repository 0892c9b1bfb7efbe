"""Compiles the counter with the system's C compiler."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from compress.debian.commands import run
from compress.errors import ToolError

CANDIDATES = ("cc", "gcc", "clang")
FLAGS = ("-std=c11", "-D_DEFAULT_SOURCE", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC")


def find_compiler() -> list[str]:
    """The C compiler's command: `$CC`, or the first of cc, gcc and clang.

    Raises:
        ToolError: there is none.
    """
    for command in [shlex.split(os.environ.get("CC", "")), *([name] for name in CANDIDATES)]:
        if command and shutil.which(command[0]):
            return command
    raise ToolError(
        f"no C compiler was found, expected `$CC` or one of {', '.join(CANDIDATES)} on PATH to compile the "
        f"instruction counter; install gcc"
    )


def compile_library(sources: Sequence[Path], library: Path) -> None:
    """Compile C sources into a shared library.

    Raises:
        ToolError: there is no compiler, or it failed.
    """
    command = [*find_compiler(), *FLAGS, *map(str, sources), "-o", str(library)]
    run(command, purpose=f"compile {library.name}", folder=library.parent)
