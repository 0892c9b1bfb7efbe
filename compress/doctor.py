"""What this machine has, what is missing, and what still works without it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape

from compress.errors import EXIT_ENVIRONMENT, EXIT_PASS, CompressError
from compress.targets import arm64

State = Literal["ok", "missing", "absent"]
MARKS = {"ok": "[green]✓[/]", "missing": "[red]✗[/]", "absent": "[yellow]·[/]"}
NEEDED_BYTES = 5_000_000_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the diagnosis.

    state: `ok`; `missing`: nothing works without it; `absent`: the rest works, `text` says what does not.
    """

    name: str
    state: State
    text: str


def diagnose(home: Path, console: Console, *, install: bool) -> int:
    """Print one line per piece; with `install`, fetch the data and the ARM64 runtimes first.

    Returns:
        The exit code: 4 if something is missing that every run needs, else 0.
    """
    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        _packages,
        _training,
        lambda: _disk(home),
        lambda: _data(home, install=install),
        lambda: _arm64(home, console, install=install),
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
    wrong = []
    for line in requires("mobile-compress") or ():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found} instead of {requirement.specifier}")
    if wrong:
        return Finding(name="packages", state="missing", text=f"{'; '.join(wrong)}; run `make setup`")
    return Finding(name="packages", state="ok", text=f"torch {version('torch')}, all as pinned")


def _training() -> Finding:
    from compress.distill import choose_device

    device = choose_device()
    precision = "bf16 autocast" if device.bf16 else "float32 (this processor does not multiply bf16)"
    where = "on a GPU" if device.name == "cuda" else f"on {device.threads} CPU threads"
    return Finding(name="training", state="ok", text=f"{precision}, channels_last, {where}")


def _disk(home: Path) -> Finding:
    existing = next(folder for folder in (home, *home.resolve().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free for {home}"
    if free < NEEDED_BYTES:
        return Finding(name="disk", state="missing", text=f"{text}; expected {NEEDED_BYTES / 1e9:.0f} GB; free some")
    return Finding(name="disk", state="ok", text=text)


def _data(home: Path, *, install: bool) -> Finding:
    from compress.tasks.fashion_mnist import find, locate

    try:
        found = locate(home) if install else find(home)
    except CompressError as error:
        return Finding(name="Fashion-MNIST", state="absent", text=f"{error}; recipes on other data still work")
    if found is None:
        text = "not here yet; the first run downloads it (31 MB), or run `compress doctor --install`"
        return Finding(name="Fashion-MNIST", state="absent", text=text)
    folder, source = found
    return Finding(name="Fashion-MNIST", state="ok", text=f"{folder} ({source})")


def _arm64(home: Path, console: Console, *, install: bool) -> Finding:
    without = "without it the host is measured and ARM64 budgets are MISSING"
    try:
        found = arm64.install(home, lambda text: console.print(f"  {escape(text)}")) if install else arm64.find(home)
    except CompressError as error:
        return Finding(name="ARM64 runtimes", state="absent", text=f"{error}; {without}")
    if found is None:
        text = f"not here yet; the first run installs them, or run `compress doctor --install`; {without}"
        return Finding(name="ARM64 runtimes", state="absent", text=text)
    return Finding(name="ARM64 runtimes", state="ok", text=f"{home / 'arm64'}")
