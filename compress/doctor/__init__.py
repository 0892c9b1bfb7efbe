"""What this machine has, what is missing, and what still works without it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import TemporaryFile

from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape

from compress.doctor.finding import Finding
from compress.doctor.runtimes import check_arm64, check_device, check_host, check_tflite_runtime, read_device
from compress.errors import EXIT_ENVIRONMENT, EXIT_PASS, CompressError
from compress.targets.addresses import DeviceOptions, refuse_idle_options

MARKS = {"ok": "[green]✓[/]", "missing": "[red]✗[/]", "absent": "[yellow]·[/]"}
NEEDED_BYTES = 1_000_000_000  # ARM64 runtimes 0.4 GB while they are installed, data and several runs' results 0.1 GB


def diagnose(
    home: Path,
    console: Console,
    *,
    install: bool,
    targets: tuple[str, ...] = (),
    options: DeviceOptions | None = None,
) -> int:
    """Print one line per piece; with `install`, fetch the data, the ARM64 runtimes and tflite-runtime first.

    Args:
        home: where they are kept.
        console: to print on.
        install: whether to fetch.
        targets: addresses of devices to look at too.
        options: of these devices.

    Returns:
        The exit code: 4 if something is missing that every run needs, or a device that was asked for, else 0.

    Raises:
        RecipeError: a target is no address of a device, or an option is missing, or no device reads it.
    """
    options = options or DeviceOptions()
    devices = [read_device(target, options) for target in targets]
    refuse_idle_options(options, devices)
    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        _packages,
        _training,
        lambda: check_host(home),
        lambda: _disk(home),
        lambda: _data(home, install=install),
        lambda: check_arm64(home, console, install=install),
        lambda: check_tflite_runtime(home, console, install=install),
        *(partial(check_device, device) for device in devices),
    )
    worst = EXIT_PASS
    for check in checks:
        finding = check()
        console.print(
            f"{MARKS[finding.state]} {finding.name:<16} {escape(finding.text)}", highlight=False, soft_wrap=True
        )
        if finding.state == "missing":
            worst = EXIT_ENVIRONMENT
    return worst


def _python() -> Finding:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if platform.python_version_tuple()[:2] == ("3", "11"):
        return Finding(name="Python", state="ok", text=text)
    return Finding(name="Python", state="missing", text=f"{text}; expected 3.11; make the .venv with Python 3.11")


def _packages() -> Finding:
    try:
        lines = requires("mobile-compress") or []
    except PackageNotFoundError:
        text = "mobile-compress itself is not installed; run `make setup`"
        return Finding(name="packages", state="missing", text=text)
    needed = [each for each in map(Requirement, lines) if not each.marker or each.marker.evaluate({"extra": ""})]
    wrong = [fault for each in needed if (fault := _find_fault(each))]
    if wrong:
        return Finding(name="packages", state="missing", text=f"{'; '.join(wrong)}; run `make setup`")
    return Finding(name="packages", state="ok", text=f"all {len(needed)} in the versions that are needed")


def _find_fault(requirement: Requirement) -> str | None:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name} {found} instead of {requirement.specifier}"


def _training() -> Finding:
    try:
        import torch

        from compress.distill import choose_device
    except (ImportError, OSError) as error:
        text = f"torch does not load: {' '.join(str(error).split())}; run `make clean setup`"
        return Finding(name="training", state="missing", text=text)
    device = choose_device()
    if device.bf16:
        precision = "bf16 autocast"
    else:
        precision = f"float32 (this {'GPU' if device.name == 'cuda' else 'processor'} does not multiply bf16)"
    where = "on a GPU" if device.name == "cuda" else f"on {device.threads} CPU thread{'s' * (device.threads > 1)}"
    return Finding(name="training", state="ok", text=f"torch {torch.__version__} {where}, {precision}")


def _disk(home: Path) -> Finding:
    existing = next(folder for folder in (home, *home.resolve().parents) if folder.exists())
    try:
        with TemporaryFile(dir=existing) as file:
            file.write(b"x")
        free = shutil.disk_usage(existing).free
    except OSError as error:
        text = f"{existing} cannot be written ({error.strerror}); expected a folder of yours; set $COMPRESS_HOME to one"
        return Finding(name="disk", state="missing", text=text)
    text = f"{free / 1e9:.1f} GB free for {home}"
    if free < NEEDED_BYTES:
        return Finding(name="disk", state="missing", text=f"{text}; expected {NEEDED_BYTES / 1e9:.0f} GB; free some")
    return Finding(name="disk", state="ok", text=text)


def _data(home: Path, *, install: bool) -> Finding:
    from compress.tasks.fashion_mnist import PRIVATE, find, find_fault, locate

    name, without = "Fashion-MNIST", "recipes on other data still work"
    try:
        found = locate(home) if install else find(home)
    except CompressError as error:
        return Finding(name=name, state="absent", text=f"{error}; {without}")
    if found is None:
        text = "not here yet; the first run downloads it (31 MB), or run `compress doctor --install`"
        return Finding(name=name, state="absent", text=text)
    folder, source = found
    if not install and (fault := find_fault(folder, source)):  # `locate` has checked already
        rest = ": the next run does, or `compress doctor --install`" if source == PRIVATE else f"; {without}"
        return Finding(name=name, state="absent", text=f"{fault}{rest}")
    return Finding(name=name, state="ok", text=f"{folder} ({source}), as published")
