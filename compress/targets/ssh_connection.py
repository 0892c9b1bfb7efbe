"""One connection of the system's `ssh` to a device, and a folder there that lasts as long as it.

- The first `ssh` is the connection: it runs caretaker.py there, and is the master of a control socket. Every copy and
  every worker is one more `ssh` through that socket, which cannot connect by itself.
- When it ends, in whichever way, the caretaker's stdin ends, and with it the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

from compress import runtimes
from compress.debian.commands import require
from compress.errors import ConnectionLost, ToolError
from compress.targets.ssh_command import (
    SSH_FAILED,
    explain_failure,
    find_last_words,
    list_arguments,
    list_arguments_through,
)
from compress.targets.worker_process import read_line
from compress.types import Json

CARETAKER = Path(runtimes.__file__).with_name("caretaker.py")
HELLO_S, COPY_S, END_S = 60.0, 900.0, 5.0
LOST_S, SILENT_S = 1.0, 15.0
"""By then a connection that has broken is seen to be, once something on it has failed; one that is silent is taken for
broken: ssh itself would notice after 30 seconds.
"""
SESSIONS = 4
"""At once: the caretaker, a worker for each runtime, a copy."""


class Connection:
    """A device that has been reached.

    facts: what caretaker.py found out about it.
    folder: ours there.
    python: the command of the Python there, from any folder.

    Args:
        name: of the target, for messages.
        destination: see `compress.targets.ssh.find_destination_fault`, which has found none.
        python: the command of a Python there.
        port: None: the configuration's.

    Raises:
        ToolError: there is no `ssh`; the device is not reached, refuses us or is not known; there is no Python there.
    """

    def __init__(self, name: str, destination: str, *, python: str, port: int | None) -> None:
        self._ssh = require("ssh", f"to reach {name}")
        self.name = name
        self._destination = destination
        self._sent: set[str] = set()
        try:
            self._local = Path(tempfile.mkdtemp(prefix="compress-ssh-"))
        except OSError as error:
            raise ToolError(f"{name}: no temporary folder here ({error}), expected room for one; set TMPDIR") from error
        self._socket = self._local / "socket"
        try:
            with (self._local / "stderr.txt").open("wb") as errors:
                self._master = subprocess.Popen(
                    self._connect(port, python),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    bufsize=0,
                    env={**os.environ, "LC_ALL": "C"},
                    start_new_session=True,  # the terminal's Ctrl-C does not reach it
                )
            self.facts: Json = self._hear(python)
            self.folder: str = self.facts["folder"]
            within = "/" in python and not python.startswith("/")
            self.python = f"{self.facts['home']}/{python.removeprefix('~/')}" if within else python
        except BaseException:
            self.close()
            raise

    def command(self, script: str) -> list[str]:
        """The command that runs a POSIX shell's script in our folder there, through this connection."""
        there = f"sh -c {shlex.quote(f'cd {shlex.quote(self.folder)} && {script}')}"
        return [self._ssh, *list_arguments_through(self._socket), self._destination, there]

    def send(self, file: Path, name: str) -> None:
        """Copy a file into our folder there.

        Raises:
            ConnectionLost, ToolError: there is no room for it there.
        """
        target = shlex.quote(name)
        with file.open("rb") as source:
            self._copy(f"cat > {target} || {{ rm -f {target}; exit 1; }}", stdin=source)

    def send_once(self, file: Path) -> str:
        """Copy a file there under its content's name, unless it is there; return that name."""
        with file.open("rb") as content:
            name = hashlib.file_digest(content, "sha256").hexdigest()[:16] + file.suffix
        if name not in self._sent:
            self.send(file, name)
            self._sent.add(name)
        return name

    def fetch(self, name: str, file: Path) -> None:
        """Copy a file from our folder there; raises as `send`."""
        with file.open("wb") as target:
            self._copy(f"cat < {shlex.quote(name)}", stdout=target)

    def check(self) -> None:
        """Raise ConnectionLost if it no longer stands, once something on it has failed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._master.wait(LOST_S)
            raise self._lost(self._last_words())
        try:
            subprocess.run(
                self.command("true"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SILENT_S,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._lost(f"it was silent for {SILENT_S:g} s") from None

    def _lost(self, why: str) -> ConnectionLost:
        return ConnectionLost(
            f"{self.name}: the connection to {self._destination} was lost: {why}; expected it to last; nothing of what "
            f"was measured there is kept; look at its power and network, and run it again"
        )

    def describe_full(self, words: str) -> str:
        """The message for a file that could not be written there."""
        return (
            f"{self.name}: a file could not be written to {self.folder} there ({words}), expected room for models, "
            f"inputs and outputs; free some space there"
        )

    def close(self) -> None:
        """End the connection, and so remove the folder there. Idempotent."""
        if hasattr(self, "_master"):
            for pipe in (self._master.stdin, self._master.stdout):
                if pipe is not None:
                    pipe.close()
            try:
                self._master.wait(END_S)
            except subprocess.TimeoutExpired:
                self._master.kill()
                self._master.wait()
        shutil.rmtree(self._local, ignore_errors=True)

    def _connect(self, port: int | None, python: str) -> list[str]:
        size = CARETAKER.stat().st_size
        there = shlex.join([python.removeprefix("~/"), "-c", f"import sys; exec(sys.stdin.buffer.read({size}))"])
        return [self._ssh, *list_arguments(self._socket, port), self._destination, there]

    def _hear(self, python: str) -> Json:
        """Have caretaker.py run, and return what it says."""
        assert self._master.stdin is not None
        assert self._master.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._master.stdin.write(CARETAKER.read_bytes())
        line = read_line(self._master.stdout.fileno(), time.monotonic() + HELLO_S)
        if line is None:
            self._master.kill()
            raise ToolError(
                f"{self.name}: {self._destination} did not answer within {HELLO_S:g} s, expected an answer in a few; "
                f"look at its load and network"
            )
        if not line:
            raise ToolError(
                f"{self.name}: {explain_failure(self._master.wait(), self._last_words(), self._destination, python)}"
            )
        with contextlib.suppress(ValueError):
            facts = json.loads(line)
            if isinstance(facts, dict) and "folder" in facts:
                return facts
        raise ToolError(
            f"{self.name}: the shell of {self._destination} prints {line[:60]!r} by itself, expected silence; let its "
            f"start-up file print to terminals alone"
        )

    def _copy(
        self, script: str, *, stdin: IO[bytes] | int = subprocess.DEVNULL, stdout: IO[bytes] | None = None
    ) -> None:
        try:
            done = subprocess.run(
                self.command(script),
                stdin=stdin,
                stdout=stdout or subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=COPY_S,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ConnectionLost(
                f"{self.name}: a copy took longer than {COPY_S:g} s, expected it to be done; look at its network"
            ) from error
        if done.returncode == SSH_FAILED:
            self.check()
            raise ToolError(
                f"{self.name}: {self._destination} gives one connection too few sessions, expected {SESSIONS} at once; "
                f"raise MaxSessions in its sshd_config"
            )
        if done.returncode:
            raise ToolError(self.describe_full(find_last_words(done.stderr.decode(errors="replace"))))

    def _last_words(self) -> str:
        return find_last_words((self._local / "stderr.txt").read_text(errors="replace"))
