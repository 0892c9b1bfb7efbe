"""What can go wrong, and the exit code that each kind of failure ends the program with.

    CompressError                 70   (never raised itself; a bare one is an internal bug)
    ├── RecipeError                2   the recipe or the command line is wrong
    ├── DataError                  3   the data set is missing, corrupt or unusable
    ├── ModelError                 3   a model or a model file is unusable
    │   ├── InstructionError       3   it, or its runtime, needs an instruction that the target's processor lacks
    │   └── SchemeError            3   it is sound, and a scheme does not suit it
    ├── ToolError                  4   a tool, a package or a permission is missing
    │   └── ConnectionLost         4   a device was reached, and then no more
    ├── NoVerdictError             5   the run ended without a verdict
    └── LockedError               75   another run holds the lock

A message says four things: what was wrong, where (file:line or artifact), what was expected, what to do.
"""

from __future__ import annotations

EXIT_PASS = 0
EXIT_GATE_FAILED = 1
EXIT_USAGE = 2
EXIT_BAD_INPUT = 3
EXIT_ENVIRONMENT = 4
EXIT_NO_VERDICT = 5
EXIT_INTERNAL = 70
EXIT_LOCKED = 75


class CompressError(Exception):
    """Base of every error this package raises on purpose; its message is shown to the user as it is."""

    exit_code = EXIT_INTERNAL


class RecipeError(CompressError):
    """The recipe or the command line is wrong. The message may hold several lines, one error each."""

    exit_code = EXIT_USAGE


class DataError(CompressError):
    """A data set is missing, corrupt or unusable."""

    exit_code = EXIT_BAD_INPUT


class ModelError(CompressError):
    """A model or a model file is unusable: malformed, crashing, non-finite, or not exportable."""

    exit_code = EXIT_BAD_INPUT


class InstructionError(ModelError):
    """Running a model file ended in an illegal instruction: the target's processor lacks what the runtime executes."""


class SchemeError(ModelError):
    """A scheme of quantisation does not suit the model: that follows from both alone, and would be found again."""


class ToolError(CompressError):
    """The environment lacks something: a tool, a package, a permission, disk space."""

    exit_code = EXIT_ENVIRONMENT


class ConnectionLost(ToolError):
    """A device was reached, and then no more: what was measured there is not kept."""


class NoVerdictError(CompressError):
    """There is nothing to judge: no results, or results without budgets."""

    exit_code = EXIT_NO_VERDICT


class LockedError(CompressError):
    """Another run holds the lock of the same folder."""

    exit_code = EXIT_LOCKED
