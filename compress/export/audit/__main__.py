"""`python -m compress.export.audit FILE` prints the audit as JSON; exit code 3 and one line for a malformed file."""

from __future__ import annotations

import argparse
import json
import resource
import sys
from pathlib import Path

from compress.errors import ModelError
from compress.export.audit import audit


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m compress.export.audit", description="Audit a model file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--memory-bytes", type=int, help="limit of this process's address space")
    arguments = parser.parse_args()
    if arguments.memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (arguments.memory_bytes, arguments.memory_bytes))
    try:
        report = audit(arguments.file)
    except ModelError as error:
        print(error, file=sys.stderr)
        return ModelError.exit_code
    except MemoryError:
        print(
            f"{arguments.file} needs more than {arguments.memory_bytes} bytes to be read; expected a model file; "
            "export it again",
            file=sys.stderr,
        )
        return ModelError.exit_code
    print(json.dumps(report, sort_keys=True, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
