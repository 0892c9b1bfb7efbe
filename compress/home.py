"""Where this package keeps what it installs and caches: one folder, `.compress`."""

from __future__ import annotations

import os
from pathlib import Path


def default_home() -> Path:
    """The folder for installed tools and cached results; it need not exist yet.

    Returns:
        `$COMPRESS_HOME` where it is set; else the nearest `.compress` in the working folder or above it; else
        `.compress` in the working folder. Absolute.
    """
    if named := os.environ.get("COMPRESS_HOME"):
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".compress").is_dir():
            return folder / ".compress"
    return here / ".compress"
