"""Adds a calibration to a file of devices; every other character of the file stays as its owner wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from compress.errors import RecipeError, ToolError
from compress.store import write_atomic
from compress.strict_yaml.reader import read_yaml
from compress.targets.device_file import simplify
from compress.targets.devices import load_devices
from compress.targets.latency.calibration import Calibration
from compress.types import Json

KEY = "calibrations"


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write it in the place of an earlier one of the device for as many threads, else after the others.

    Args:
        path: made if it is not there; else a file that `load_devices` takes.
        calibration: of a device that the file or those that ship describe.

    Raises:
        RecipeError: the file is wrong, or so written that nothing can be added.
        ToolError: it cannot be written.
    """
    if path.exists():
        load_devices(path)
    try:
        text = path.read_bytes().decode() if path.exists() else ""
    except OSError as error:
        raise ToolError(f"{path}: cannot be read ({error.strerror}); expected a file of devices; mend that") from error
    written = read_yaml(text).value or {}
    entry = calibration.model_dump(mode="json")
    entries = written.get(KEY, [])
    place = next((place for place, each in enumerate(entries) if _are_alike(each, entry)), len(entries))
    line = "{" + ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()) + "}"
    changed = _insert(text, line, place)
    document = read_yaml(changed)
    if document.problems or document.value != {**written, KEY: [*entries[:place], entry, *entries[place + 1 :]]}:
        raise RecipeError(
            f"{path}: nothing can be added to it as it is written, expected keys at the start of its lines; add this"
            f" to its list {KEY}: {line}"
        )
    write_atomic(path.resolve(), changed.encode())


def _are_alike(one: Json, other: Json) -> bool:
    return (simplify(one["device"]), one["threads"]) == (simplify(other["device"]), other["threads"])


def _insert(text: str, line: str, place: int) -> str:
    """The text with an entry as item `place` of the list; whether that still is YAML, the caller looks."""
    newline = "\r\n" if "\r\n" in text else "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    entries = found.get(KEY)
    if entries is None:
        gap = newline if text and not text.endswith("\n") else ""
        return f"{text}{gap}{newline if text else ''}{KEY}:  # by `compress calibrate`{newline}  - {line}{newline}"
    if place < len(entries.value):
        item = entries.value[place]
        return text[: item.start_mark.index] + line + text[_find_end(item) :]
    if not entries.value:
        return text[: entries.start_mark.index] + f"[{line}]" + text[entries.end_mark.index :]
    end = _find_end(entries.value[-1])
    indent = " " * entries.start_mark.column
    return text[:end] + (f", {line}" if entries.flow_style else f"{newline}{indent}- {line}") + text[end:]


def _find_end(node: yaml.Node) -> int:
    """Where what is written ends: the mark of a block stands behind the comments and empty lines that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _find_end(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return end
