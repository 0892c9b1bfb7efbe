"""How the program ends: one clear line on stderr and an exit code, whatever happens."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from typing import NoReturn

import typer

from compress.errors import EXIT_INTERNAL, EXIT_PASS, EXIT_USAGE, CompressError, ToolError

STOPS: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
BROKEN_PIPE = 128 + signal.SIGPIPE


class _Stopped(KeyboardInterrupt):
    """A signal asked to stop; unwinds like Ctrl-C, so that workers end and temporary files go."""


def run_to_end(app: typer.Typer) -> NoReturn:
    """Run the command line and leave, with the exit codes of `compress.errors`, or 128 + the signal that stopped it."""
    received = _stop_on_signals()
    code, message = _run(app, received)
    if received and code != EXIT_PASS:
        code, message = 128 + received[0], f"{STOPS[received[0]]}; the same command goes on where it stopped"
    if message:
        print(f"compress: {message}", file=sys.stderr)
    sys.exit(code)


def _stop_on_signals() -> list[int]:
    """Let each signal unwind the program; returns the list that they will be noted in.

    What the exception meets on its way may turn it into another (an import that it breaks off, say): the list is right.
    """
    received: list[int] = []

    def stop(number: int, _: object) -> None:
        received.append(number)
        raise _Stopped

    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a script's background job
            signal.signal(number, stop)
    return received


def _run(app: typer.Typer, received: list[int]) -> tuple[int, str]:
    """Exit code, and what remains to be said on stderr."""
    try:
        return app(standalone_mode=False) or EXIT_PASS, ""
    except CompressError as error:
        return error.exit_code, str(error)
    except typer.TyperException as error:  # a wrong command line
        message = error.format_message()
        if "\n" in message:  # no command at all: the message is the help
            print(message, file=sys.stderr)
            return EXIT_USAGE, ""
        return EXIT_USAGE, f"{message.rstrip('.')}; see `compress --help`"
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # typer's answer to a reader that has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return BROKEN_PIPE, ""
        return EXIT_INTERNAL, "" if received else _tell_exit(error)
    except BaseException as error:  # noqa: BLE001  # the outermost frame: a bug must not look like a verdict
        if received:  # whatever it has become on its way
            return EXIT_INTERNAL, ""
        return (isinstance(error, OSError) and _explain_disk(error)) or _bug()


def _explain_disk(error: OSError) -> tuple[int, str] | None:
    """For the few that the code nearer to them has not explained; None for what no disk is to blame for."""
    where = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    if error.errno in (errno.EACCES, errno.EPERM):
        return ToolError.exit_code, f"{where}; expected permission to use it; change its permissions or choose another"
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return ToolError.exit_code, f"{where}; expected a path that can exist; choose another"
    if error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
        return ToolError.exit_code, f"{where}; expected a writable folder with free space; choose another"
    return None


def _tell_exit(error: SystemExit) -> str:
    """Nobody here calls sys.exit before the end: a library or the user's code did, and its 0 or 1 is no verdict."""
    traceback.print_exc()
    return (
        f"sys.exit({error.code!r}) was called in the middle of the work, at the last line above; expected no verdict"
        " but the gate's; remove that call"
    )


def _bug() -> tuple[int, str]:
    traceback.print_exc()
    return EXIT_INTERNAL, "internal error, a bug in compress: please report the lines above"
