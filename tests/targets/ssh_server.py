"""An ssh server of our own on this machine: OpenSSH's, with keys, accounts and configuration in a folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compress.debian import fetch_packages
from compress.debian.commands import require
from compress.errors import ToolError

PACKAGES = ("openssh-server", "libwrap0", "libnss-wrapper")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
PRIVILEGE_SEPARATION = Path("/run/sshd")  # an empty folder, which a server of root's must find

SERVER = """\
Port {port}
Port {narrow}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/pid
UsePAM no
StrictModes no
PasswordAuthentication no
Match LocalPort {narrow}
  MaxSessions 1
"""

CLIENT = """\
Host off
  Port 1
Host narrow
  Port {narrow}
Host stranger
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
Host forbidden
  IdentityFile {folder}/other
Host !forbidden *
  IdentityFile {folder}/user
Host *
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile /dev/null
"""
"""~/.ssh/config of a user who would take any key of `stranger`; its first answer to a question counts."""


@dataclass(frozen=True)
class Server:
    """pid: of the listening process; log: what it writes; path: for $PATH, with an `ssh` that knows the server."""

    pid: int
    log: Path
    path: str

    def connections(self) -> int:
        return self.log.read_text().count("Accepted publickey")

    def drop(self) -> None:
        """Break every connection, as a cable that is pulled."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process of every connection; stopped ones keep the line and say nothing."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        for child in [int(pid) for task in tasks for pid in (task / "children").read_text().split()]:
            os.kill(child, number)


def find_sshd(home: Path) -> tuple[Path, dict[str, str]]:
    """The system's sshd, else one unpacked privately in `home`, and the environment that it needs.

    Raises:
        ToolError: neither can be had, or no `ssh`, or no stand-in for an account that root's server needs.
    """
    require("ssh", "to try devices with")
    require("ssh-keygen", "to try devices with")
    system, mine = Path("/usr/sbin/sshd"), home / "sshd"
    if not system.exists() or lacks_account():
        fetch_packages(PACKAGES, mine, lambda _: None)
    libraries = {"LD_LIBRARY_PATH": f"{mine}/{LIBRARIES}:{mine}/lib/x86_64-linux-gnu"}
    return (system if system.exists() else mine / "usr/sbin/sshd"), libraries


def find_ports() -> tuple[int, int]:
    """Two that are free."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def lacks_account() -> bool:
    """Whether we are root, whose server demands an account of its own, and there is none."""
    return os.getuid() == 0 and "sshd" not in {account.pw_name for account in pwd.getpwall()}


@contextlib.contextmanager
def serve(folder: Path, home: Path) -> Iterator[Server]:
    """A server that lets this user in, as the hosts of CLIENT; raises ToolError where it does not start."""
    sshd, environment = find_sshd(home)
    for key in ("host", "user", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    port, narrow = find_ports()
    user = pwd.getpwuid(os.getuid())
    kind, key, *_ = (folder / "host.pub").read_text().split()
    (folder / "known").write_text("".join(f"[127.0.0.1]:{each} {kind} {key}\n" for each in (port, narrow)))
    (folder / "server").write_text(SERVER.format(port=port, narrow=narrow, folder=folder))
    (folder / "client").write_text(CLIENT.format(port=port, narrow=narrow, folder=folder, user=user.pw_name))
    (folder / "bin").mkdir()
    program = folder / "bin" / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client "$@"\n')
    program.chmod(0o755)
    if os.getuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    if lacks_account():
        environment |= _pretend_accounts(folder, user)
    log = folder / "log"
    try:
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sshd, "-D", "-e", "-f", folder / "server"], stderr=errors, env={**os.environ, **environment}
            )
    except OSError as error:
        raise ToolError(f"sshd does not start: {error}") from error
    try:
        for _ in range(100):
            if "Server listening" in log.read_text() or process.poll() is not None:
                break
            time.sleep(0.05)
        if process.poll() is not None:
            raise ToolError(f"sshd does not start: {log.read_text().strip()}")
        yield Server(process.pid, log, f"{folder / 'bin'}:{os.environ['PATH']}")
    finally:
        process.terminate()
        process.wait()


def _pretend_accounts(folder: Path, user: pwd.struct_passwd) -> dict[str, str]:
    """Accounts as sshd sees them: that of its own, which it demands of root, and a home folder of ours."""
    (folder / "login").mkdir()
    (folder / "passwd").write_text(
        f"{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::{folder / 'login'}:/bin/sh\n"
        "sshd:x:65533:65534::/nonexistent:/usr/sbin/nologin\n"
    )
    (folder / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    return {
        "LD_PRELOAD": "libnss_wrapper.so",
        "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
        "NSS_WRAPPER_GROUP": str(folder / "group"),
    }
