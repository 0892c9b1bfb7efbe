"""What a type or a range alone cannot say. Each rule returns the value as it came, or raises what the user reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from pydantic import ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails

from compress.errors import RecipeError
from compress.strict_yaml import Source
from compress.strict_yaml.wording import EXPECTED, did_you_mean, refusal
from compress.types import METRICS

Items = TypeVar("Items", bound=Sequence[str])


def run_name(name: str) -> str:
    """A name that can be a folder's: letters, digits, `.`, `_`, `-`; a letter or digit first."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        wanted = "at most 64 letters, digits, dots, underscores and hyphens, a letter or digit first"
        raise refusal(f"expected {wanted}", EXPECTED)
    return name


def distinct(items: Items) -> Items:
    """Something is listed, and nothing twice."""
    if not items:
        raise refusal("expected at least one item, got an empty list")
    for item in items:
        if items.count(item) > 1:
            raise refusal(f"{item} is listed twice; keep one")
    return items


def known_metric(name: str) -> str:
    """A key of compress.types.METRICS."""
    if name not in METRICS:
        raise refusal(f"unknown metric {name!r}{did_you_mean(name, METRICS)}")
    return name


def known_core(name: str) -> str:
    """An ARM64 core that can be emulated."""
    if name not in core_names():
        raise refusal(f"unknown core {name!r}{did_you_mean(name, core_names())}")
    return name


def host_or_core(name: str) -> str:
    """This machine, or a core that can be emulated."""
    if name not in (targets := ("host", *core_names())):
        raise refusal(f"unknown target {name!r}{did_you_mean(name, targets)}")
    return name


def device_name(name: str) -> str:
    """A name like a run's, which no other target has."""
    if name in ("host", *core_names()):
        raise refusal(f"{name} is a target already; choose another name for the device")
    return run_name(name)


def destination(written: str) -> str:
    """Where ssh can go, and nothing that it could take for an option."""
    from compress.targets.ssh import find_destination_fault

    if fault := find_destination_fault(written):
        raise refusal(fault)
    return written


def serial_number(written: str) -> str:
    """What `adb devices` lists in its first column, or `any`."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*", written):
        raise refusal(f"{written!r} is no serial number; expected one that `adb devices` lists, or any; correct it")
    return written


def core_names() -> tuple[str, ...]:
    """The cores of compress.targets, which is imported only when a recipe names one."""
    from compress.targets import core_names as names

    return tuple(names())


def readable_devices(name: str, info: ValidationInfo) -> str:
    """A file of devices, relative to the recipe; each mistake in it is one of the recipe, with its own place."""
    from compress.targets.devices import load_devices

    assert isinstance(info.context, Source)
    path = info.context.path.parent / name
    try:
        found = path.is_file()
    except OSError as error:
        raise refusal(f"{name!r} cannot be a file ({error.strerror}); expected one of devices; correct it") from error
    if not found:
        raise refusal(f"no such file {path}; expected a file of devices, relative to the recipe")
    try:
        load_devices(path)
    except RecipeError as error:
        faults = [InitErrorDetails(type=refusal(line), loc=(), input=None) for line in str(error).splitlines()]
        raise ValidationError.from_exception_data("devices", faults) from error
    return name


def one_of(name: str, value: object, other_name: str, other: object) -> None:
    """One of two keys is given, and not both."""
    if (value is None) == (other is None):
        raise refusal(f"expected one of {name} and {other_name}, got {'neither' if value is None else 'both'}")
