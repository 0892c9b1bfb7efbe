"""Calibrations in a file of devices: what is written reads back, and nothing else of the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.errors import RecipeError
from compress.targets.device_file_write import write_calibration
from compress.targets.devices import find_device, load_devices
from compress.targets.latency.calibration import Calibration


def made(device: str = "Pixel 4", threads: int = 1, factor: float = 1.25) -> Calibration:
    return Calibration(
        device=device,
        threads=threads,
        factor=factor,
        spread=1.125,
        networks=5,
        classes=("fmla", "dot"),
        cycles=(8e6, 4.5e7),
        runtime="litert 2.3.0",
        there="ssh:pi@raspberry, cortex-a76 × 4, Linux 6.1",
        date="2026-11-25",
        model="0123456789ab",
    )


def factors(path: Path, name: str) -> dict[int, float]:
    return {each.threads: each.factor for each in find_device(name, load_devices(path)).calibrations}


def test_a_new_file_and_one_entry_for_each_number_of_threads(tmp_path: Path) -> None:
    path = tmp_path / "phones.yaml"
    for threads, factor in ((1, 1.25), (4, 2.0), (1, 1.5)):
        write_calibration(path, made(threads=threads, factor=factor))
    assert factors(path, "pixel-4") == {1: 1.5, 4: 2.0}
    device = find_device("Pixel 4", load_devices(path))
    assert device.find_calibration(1) == made(factor=1.5)
    assert device.find_calibration(2) is None
    shipped = load_devices()["Pixel 4"]
    assert (device.soc, device.memory, shipped.calibrations) == (shipped.soc, shipped.memory, ())


OWN = """\
# Phones of ours.
devices:
  Kiosk: {soc: RK3588}   # in the hall
"""
LISTS = [
    OWN,
    OWN.rstrip("\n"),
    OWN.replace("\n", "\r\n"),
    "\ufeff" + OWN,
    OWN + "calibrations: []\n# the end\n",
    "calibrations: []  # none yet\n" + OWN,
]


@pytest.mark.parametrize("text", LISTS)
def test_every_character_of_the_owner_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "phones.yaml"
    path.write_bytes(text.encode())
    write_calibration(path, made("Kiosk"))
    write_calibration(path, made("Pixel 4", factor=0.5))
    write_calibration(path, made("Kiosk", factor=2.0))
    assert (factors(path, "Kiosk"), factors(path, "Pixel 4")) == ({1: 2.0}, {1: 0.5})
    changed = path.read_bytes().decode()
    for line in text.replace("[]", "").splitlines():
        assert all(part in changed for part in line.split("  "))
    assert changed.count("\r\n") in (0, changed.count("\n"))


def test_comments_between_entries_stay(tmp_path: Path) -> None:
    """Entries as a person may have laid them out."""
    path = tmp_path / "phones.yaml"
    write_calibration(path, made("Pixel 4"))
    first = path.read_text()
    head, entry = first.split("  - ", 1)
    path.write_text(f"{head}  # the old one\n  - {entry}  # the next\n\nsocs: {{}}  # none\n")
    write_calibration(path, made("Pixel 4", factor=3.0))
    write_calibration(path, made("Mi 9", factor=4.0))
    assert (factors(path, "Pixel 4"), factors(path, "Mi 9")) == ({1: 3.0}, {1: 4.0})
    comments = [line.strip() for line in path.read_text().splitlines() if line.strip().startswith("#")]
    assert comments == ["# the old one", "# the next"]
    assert path.read_text().endswith("\nsocs: {}  # none\n")


def test_what_cannot_be_added_to_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "phones.yaml"
    path.write_text("{devices: {Kiosk: {soc: RK3588}}}\n")
    with pytest.raises(RecipeError, match=r"nothing can be added to it as it is written.*add this.*\{device: \"Kiosk"):
        write_calibration(path, made("Kiosk"))
    assert path.read_text() == "{devices: {Kiosk: {soc: RK3588}}}\n"


def test_a_file_that_is_not_ours_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: mine\n")
    with pytest.raises(RecipeError, match=r"recipe\.yaml:1:1: unknown key 'name'"):
        write_calibration(path, made())
    assert path.read_text() == "name: mine\n"


ENTRY = "{device: DEVICE, threads: 1, factor: FACTOR, spread: 1.2, networks: 5, classes: [fmla], cycles: [8e6, 4e7], \
runtime: litert 2.3.0, there: here, date: '2026-11-25', model: 0a}"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("Pixle 4", "1.2")], "phones.yaml:2:14: calibrations[0].device: unknown device 'Pixle 4'; did you mean"),
        ([("Pixel 4", "0.0")], "phones.yaml:2:43: calibrations[0].factor: expected a number above 0, got 0.0"),
        (
            [("Pixel 4", "1.2"), ("pixel 4 xl", "1.3")],
            "phones.yaml:3:14: calibrations[1].device: Pixel 4 is there twice for threads: 1; expected one; keep the",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, entries: list[tuple[str, str]], message: str) -> None:
    lines = [ENTRY.replace("DEVICE", device).replace("FACTOR", factor) for device, factor in entries]
    (tmp_path / "phones.yaml").write_text("calibrations:\n" + "".join(f"  - {line}\n" for line in lines))
    with pytest.raises(RecipeError) as caught:
        load_devices(tmp_path / "phones.yaml")
    assert message in str(caught.value)
