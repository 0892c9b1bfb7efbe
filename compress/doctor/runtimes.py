"""Whether the runtimes start: on this machine, on an emulated core, on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from rich.console import Console
from rich.markup import escape

from compress.doctor.finding import Finding
from compress.errors import CompressError, InstructionError, ModelError, RecipeError, ToolError
from compress.targets import HOST, arm64, core_names, open_session, tflite_runtime
from compress.targets.adb import AdbDevice, Phone
from compress.targets.addresses import FORMS, DeviceOptions, is_address, read_address
from compress.targets.arm64 import Arm64
from compress.targets.ssh import SshDevice, open_device
from compress.targets.tflite_runtime import TfliteRuntime

Found = TypeVar("Found", Arm64, TfliteRuntime)

# What looks like a model file until a runtime opens it.
NO_MODELS = {".onnx": b"\xff" * 64, ".tflite": b"\0\0\0\0TFL3" + b"\xff" * 64}


def check_host(home: Path) -> Finding:
    """Both runtimes on this machine, without which nothing works."""
    found, fault = _start_runtimes(HOST, home)
    if fault:
        return Finding(name="host runtimes", state="missing", text=f"{fault}; run `make clean setup`")
    return Finding(name="host runtimes", state="ok", text=f"{found} start")


def _start_runtimes(
    target: str, home: Path, *, endings: Iterable[str] = NO_MODELS, site: Path | None = None
) -> tuple[str, str | None]:
    """Start each runtime on a target and have it refuse what is no model.

    Args:
        target: `host` or a core.
        home: where the emulated cores are.
        endings: of the files whose runtimes are started.
        site: packages with other runtimes than the usual ones.

    Returns:
        Their names and versions, and what was wrong with the first that did not start, if one did not.
    """
    started = []
    try:
        with TemporaryDirectory() as folder, open_session(target, home, site=site) as session:
            for ending in endings:
                file = Path(folder) / f"nothing{ending}"
                file.write_bytes(NO_MODELS[ending])
                try:
                    session.describe(file)
                except InstructionError:
                    raise
                except ModelError as error:
                    started.append(str(error).partition(" under ")[2].partition(":")[0])
    except (InstructionError, ToolError, OSError) as error:
        return "", str(error).partition("; expected")[0]
    return " and ".join(started), None


def check_arm64(home: Path, console: Console, *, install: bool) -> Finding:
    """Both runtimes on one emulated core; with `install`, put there first."""
    core = core_names()[0]

    def start(_: Arm64) -> tuple[str, str | None]:
        runtimes, fault = _start_runtimes(core, home)
        return f"{runtimes} start on an emulated {core}", fault

    return _check_installation(
        "ARM64 runtimes",
        lambda: arm64.install(home, partial(_tell, console)) if install else arm64.find(home),
        start,
        not_here="not here yet; the first run installs them, or run `compress doctor --install`",
        without="without them the host is measured and ARM64 budgets are MISSING",
    )


def check_tflite_runtime(home: Path, console: Console, *, install: bool) -> Finding:
    """The older runtime on this machine, and on one emulated core where there are such; likewise."""

    def start(found: TfliteRuntime) -> tuple[str, str | None]:
        runtime, where = "", []
        for target in (HOST, core_names()[0]) if arm64.find(home) else (HOST,):
            runtime, fault = _start_runtimes(target, home, endings=(".tflite",), site=found.site(target))
            if fault:
                return "", fault
            where.append("this machine" if target == HOST else f"an emulated {target}")
        return f"{runtime} starts on {' and '.join(where)}", None

    return _check_installation(
        "tflite-runtime",
        lambda: tflite_runtime.install(home, partial(_tell, console)) if install else tflite_runtime.find(home),
        start,
        not_here="not here; a run that asks for it installs it, or run `compress doctor --install`",
        without="without it, budgets on `compatible` are MISSING",
    )


def _check_installation(
    name: str,
    look: Callable[[], Found | None],
    start: Callable[[Found], tuple[str, str | None]],
    *,
    not_here: str,
    without: str,
) -> Finding:
    """What `start` says of what `look` finds: where its runtimes start, or what was wrong with one that did not."""
    try:
        found = look()
    except CompressError as error:
        return Finding(name=name, state="absent", text=f"{error}; {without}")
    if found is None:
        return Finding(name=name, state="absent", text=f"{not_here}; {without}")
    text, fault = start(found)
    if fault:
        mend = f"remove {found.folder} and run `compress doctor --install`"
        return Finding(name=name, state="absent", text=f"{fault}; {mend}; {without}")
    return Finding(name=name, state="ok", text=f"{text}, in {found.folder}")


def _tell(console: Console, text: str) -> None:
    console.print(f"  {escape(text)}")


def read_device(target: str, options: DeviceOptions) -> SshDevice | AdbDevice:
    """A device that was asked for; RecipeError where it is no address of one."""
    if not is_address(target):
        raise RecipeError(f"--target {target}: is no device; expected {FORMS}; everything else is looked at anyway")
    return read_address(target, options, timeout_s=60)


def check_device(device: SshDevice | AdbDevice) -> Finding:
    """Whether it is reached, what it is, and the runtimes that it has."""
    try:
        if isinstance(device, AdbDevice):
            with Phone(device) as phone:
                text = f"{phone.machine['board']}, {phone.machine['processor']}, takes {phone.runtime}"
            return Finding(name=device.name, state="ok", text=text)
        with open_device(device) as session:
            machine, runtimes = session.machine, session.runtimes
    except ToolError as error:
        return Finding(name=device.name, state="missing", text=str(error).removeprefix(f"{device.name}: "))
    if not runtimes:
        text = f"{device.python} there has neither runtime; expected ai-edge-litert or onnxruntime; install one there"
        return Finding(name=device.name, state="missing", text=text)
    text = f"{' and '.join(runtimes.values())}, {machine['processor']}, governor {machine['governor']}"
    return Finding(name=device.name, state="ok", text=text)
