"""One connection of the system's `ssh` to a device, and a folder there that lasts as long as it.

- The first `ssh` is the connection: it runs caretaker.py there, and is the master of a control socket. Every copy and
  every worker is one more `ssh` through that socket, which cannot connect by itself.
- It never asks: BatchMode refuses what would need a password, StrictHostKeyChecking a host key that is not known.
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
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from compress import runtimes
from compress.debian.commands import require
from compress.errors import ConnectionLost, ToolError
from compress.targets.worker_process import read_line
from compress.types import Json

CARETAKER = Path(runtimes.__file__).with_name("caretaker.py")
CONNECT_S, HELLO_S, COPY_S, END_S = 15, 60.0, 900.0, 5.0
LOST_S, SILENT_S = 1.0, 15.0
"""By then a connection that has broken is seen to be, once something on it has failed; one that is silent is taken for
broken: ssh itself would notice after 30 seconds.
"""
SESSIONS = 4
"""At once: the caretaker, a worker for each runtime, a copy."""
SSH_FAILED, NOT_FOUND = 255, (126, 127)
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "LogLevel": "ERROR",
    "ConnectTimeout": str(CONNECT_S),
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "ControlMaster": "yes",
    "ControlPersist": "no",
    # What a user's configuration may ask of a session at a terminal, and would get in the way here.
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
}
THROUGH_SOCKET = {"BatchMode": "yes", "LogLevel": "ERROR", "ControlMaster": "no", "ProxyCommand": "false"}
"""Without the socket, `ssh` would connect anew, past the user's configuration: `false` leads nowhere."""


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
        socket = ["-F", "none", "-S", str(self._local / "socket"), *_write_options(THROUGH_SOCKET)]
        return [self._ssh, *socket, "-T", "--", self._destination, there]

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
        socket = ["-S", str(self._local / "socket"), *_write_options(OPTIONS)]
        return [self._ssh, *socket, *(["-p", str(port)] if port else []), "--", self._destination, there]

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
                f"{self.name}: {_explain(self._master.wait(), self._last_words(), self._destination, python)}"
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
            raise ToolError(self.describe_full(_last(done.stderr.decode(errors="replace"))))

    def _last_words(self) -> str:
        return _last((self._local / "stderr.txt").read_text(errors="replace"))


def _write_options(options: dict[str, str]) -> list[str]:
    return [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]


def _last(text: str) -> str:
    lines: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _explain(status: int, words: str, destination: str, python: str) -> str:
    """Why there was no answer: what ssh, or else the device's shell or Python said, and what to do."""
    if status in NOT_FOUND:
        return (
            f"{python} was not found on {destination}, expected a Python with the runtimes there; install it there, or "
            f"name another"
        )
    if status != SSH_FAILED:
        return f"{python} on {destination} failed: {words}; expected a temporary folder there; mend that"
    if "host key" in words.lower():
        advice = f"connect once by hand (`ssh {destination}`) and compare the fingerprint with the device's"
    elif "Permission denied" in words:
        advice = f"put your key there (`ssh-copy-id {destination}`), or name it in ~/.ssh/config"
    else:
        advice = "look at its power and network, at the name, and at ~/.ssh/config"
    return f"ssh did not reach {destination}: {words}; expected to get in without a question; {advice}"
