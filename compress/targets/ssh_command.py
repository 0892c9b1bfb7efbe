"""How the system's `ssh` is called, and what it means where it fails.

It never asks: BatchMode refuses what would need a password, StrictHostKeyChecking a host key that is not known.
"""

from __future__ import annotations

from pathlib import Path

CONNECT_S = 15
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


def list_arguments(socket: Path, port: int | None) -> list[str]:
    """Of the call that connects, and that other calls then go through; destination and command follow."""
    return ["-S", str(socket), *_write_options(OPTIONS), *(["-p", str(port)] if port else []), "--"]


def list_arguments_through(socket: Path) -> list[str]:
    """Of a call through that connection."""
    return ["-F", "none", "-S", str(socket), *_write_options(THROUGH_SOCKET), "-T", "--"]


def _write_options(options: dict[str, str]) -> list[str]:
    return [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]


def find_last_words(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def explain_failure(status: int, words: str, destination: str, python: str) -> str:
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
