"""A phone on a cable: LiteRT's `benchmark_model` runs there, driven by the system's `adb`."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from compress.debian.commands import find_words, require
from compress.errors import ConnectionLost, ModelError, ToolError
from compress.targets.benchmark_model import TOOL, WHERE_TO_GET, ToolRun, hash_tool, list_flags, parse_output
from compress.targets.files import choose_runtime
from compress.targets.processor import name_cores
from compress.types import Json

ANY = "any"
FOLDERS = "/data/local/tmp/compress"
ADB_S, PUSH_S = 30.0, 900.0
GRACE_S = 30  # what opening a model may take beside the inferences
PID_FILE = "pid"
STATES = {
    "unauthorized": "unlock it and allow this computer's USB debugging",
    "offline": "take it off the cable and put it back, or restart `adb`",
    "no permissions": "give your user access to the USB device (udev), and restart `adb`",
}


@dataclass(frozen=True, kw_only=True)
class AdbDevice:
    """How a phone is reached.

    name: of the target, in measurements and messages.
    serial: `adb devices` lists it; `any` for the only one that is connected.
    benchmark_model: the program for the phone's processor, a file here.
    timeout_s: for one run of it.
    """

    name: str
    serial: str
    benchmark_model: Path
    timeout_s: int = 120


class Phone:
    """A phone with the program on it, in a folder of ours; use it as a context manager.

    machine: what its latencies must be read with: the keys of compress.measure.machine, and some more.
    runtime: the program, by its content: it tells no version.

    Raises:
        ToolError: no `adb` or no program here; no such phone, or none that lets us in, or several to choose from.
    """

    def __init__(self, device: AdbDevice) -> None:
        self._device = device
        self._adb = require("adb", f"to reach {device.name}")
        self.runtime = f"{TOOL} {hash_tool(device.name, device.benchmark_model)}"
        self._serial = self._find()
        self._folder = self._make_folder()
        try:
            self._push(device.benchmark_model, TOOL)
            self._shell(f"chmod 755 {shlex.quote(f'{self._folder}/{TOOL}')}")
            self.machine = self._describe()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove our folder there, if the phone is still there. Idempotent."""
        self._call(["shell", f"rm -rf {shlex.quote(self._folder)}"], ADB_S)

    def benchmark(self, model: Path, *, threads: int, warmup: int, inferences: int) -> ToolRun:
        """One run of the program on a .tflite file.

        Raises:
            ModelError: no such file; the program cannot open or run it, or takes too long.
            ConnectionLost: the phone is gone.
            ToolError: there is no room for the model there, or nobody can read what the program says.
        """
        if choose_runtime(model) != "litert":
            raise ModelError(f"{model} on {self._device.name}: {TOOL} runs .tflite files, expected one; leave it out")
        self._push(model, "model.tflite")
        flags = list_flags(
            graph="model.tflite", threads=threads, warmup=warmup, inferences=inferences, most_s=self._device.timeout_s
        )
        folder = shlex.quote(self._folder)
        script = f"cd {folder} && {{ ./{TOOL} {' '.join(flags)} 2>&1 & echo $! > {PID_FILE}; wait $!; }}"
        limit_s = 2 * self._device.timeout_s + GRACE_S  # the program's own limit is of the warm-up, and of the rest
        where = f"{model} on {self._device.name} under {self.runtime}"
        if (done := self._call(["shell", script], limit_s)) is None:
            self._call(["shell", f"kill -9 $(cat {folder}/{PID_FILE})"], ADB_S)
            raise ModelError(f"{where}: did not finish within {limit_s:g} s, expected it to; leave this target out")
        if done.returncode:
            self._check()
            raise ModelError(
                f"{where}: ended with status {done.returncode}: {find_words(done.stdout)}; expected a complete model "
                f"and a program for this phone's processor; export it again, or leave this target out"
            )
        try:
            return parse_output(done.stdout)
        except ValueError as error:
            raise ToolError(
                f"{where}: what it printed cannot be read: {error}; expected the output of LiteRT's program of that "
                f"name; get it anew: {WHERE_TO_GET}"
            ) from error

    def _find(self) -> str:
        """The serial number of the phone that is meant."""
        name, wanted = self._device.name, self._device.serial
        listed = _list_devices(self._run(["devices"], to="list the phones"))
        if wanted == ANY and len(listed) > 1:
            raise ToolError(f"{name}: {len(listed)} devices are connected, expected one; name one: {', '.join(listed)}")
        serial = next(iter(listed), ANY) if wanted == ANY else wanted
        if serial not in listed:
            connected = f"these are: {', '.join(listed)}" if listed else "none is"
            which = "a phone" if wanted == ANY else wanted
            raise ToolError(
                f"{name}: {which} is not connected, {connected}; expected it in `adb devices`; plug it in, and "
                f"allow USB debugging"
            )
        state = listed[serial]
        if state != "device":
            advice = next((advice for known, advice in STATES.items() if state.startswith(known)), "mend that")
            raise ToolError(f"{name}: {serial} is listed as {state}, expected `device`; {advice}")
        return serial

    def _check(self) -> None:
        """Raise ConnectionLost if the phone is gone or let us go."""
        done = self._call(["devices"], ADB_S)
        state = _list_devices(done.stdout).get(self._serial, "gone") if done else "not answering"
        if state != "device":
            raise ConnectionLost(
                f"{self._device.name}: {self._serial} is {state}, expected it to stay connected; nothing of what was "
                f"measured there is kept; look at its cable, and run it again"
            )

    def _make_folder(self) -> str:
        made = self._shell(f"mktemp -d {FOLDERS}-XXXXXX").strip()
        if not re.fullmatch(rf"{FOLDERS}-\w+", made):
            raise ToolError(
                f"{self._device.name}: `mktemp` there printed {made[:80]!r}, expected a folder like {FOLDERS}-a1b2c3; "
                f"look at what `adb shell` prints by itself"
            )
        return made

    def _push(self, file: Path, name: str) -> None:
        done = self._call(["push", str(file.absolute()), f"{self._folder}/{name}"], PUSH_S)
        if done is None or done.returncode:
            self._check()
            words = find_words(done.stdout) if done else f"it took longer than {PUSH_S:g} s"
            raise ToolError(
                f"{self._device.name}: {file} could not be pushed to {self._folder} there ({words}), expected room and "
                f"permission; free some space on the phone"
            )

    def _describe(self) -> Json:
        board, android, system, governors, clocks, cpuinfo = (
            self._shell(script).strip()
            for script in (
                "getprop ro.product.model",
                "getprop ro.build.version.release",
                "uname -srm",
                "cat /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor 2>/dev/null; true",
                "cat /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq 2>/dev/null; true",
                "cat /proc/cpuinfo",
            )
        )
        lines = [line.partition(":") for line in cpuinfo.splitlines()]
        parts = [value.strip() for key, _, value in lines if key.strip() == "CPU part"]
        return {
            "processor": name_cores({part: parts.count(part) for part in dict.fromkeys(parts)}) or "unknown",
            "cores": sum(key.strip() == "processor" for key, _, _ in lines),
            "architecture": system.rpartition(" ")[2],
            "system": f"Android {android}, {system.rpartition(' ')[0]}",
            "board": board,
            "governor": ", ".join(sorted(set(governors.split()))) or "unknown",
            "most_khz": ", ".join(sorted(set(clocks.split()), key=lambda khz: (len(khz), khz))) or "unknown",
        }

    def _shell(self, script: str) -> str:
        return self._run(["shell", script], to=f"run `{script.split()[0]}` there")

    def _run(self, arguments: Sequence[str], *, to: str) -> str:
        done = self._call(arguments, ADB_S)
        if done is None or done.returncode:
            words = find_words(done.stdout) if done else f"it took longer than {ADB_S:g} s"
            raise ToolError(f"{self._device.name}: adb could not {to}: {words}; expected it to; mend that")
        return done.stdout

    def _call(self, arguments: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str] | None:
        """Run adb, on our phone once it is known; None if that took too long."""
        ours = ["-s", self._serial] if hasattr(self, "_serial") and arguments[0] in ("shell", "push") else []
        try:
            return subprocess.run(
                [self._adb, *ours, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None


def _list_devices(text: str) -> dict[str, str]:
    """`adb devices`: serial number -> state, after a title."""
    lines = [line.split(None, 1) for line in text.partition("List of devices attached")[2].splitlines()]
    return {serial: state.strip() for serial, state in (line for line in lines if len(line) > 1)}
