"""Phones and boards against what others published of them, and a user's own file with every mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.errors import RecipeError
from compress.targets import core_names
from compress.targets.cores import CORES
from compress.targets.devices import Device, find_device, load_devices

SHIPPED = load_devices()

# Device, chip, core and clock (GHz) as published with benchmarks: TFLite's hosted_models.md and XNNPACK's README and
# commit messages; Paddle-Lite's, TNN's, Tengine's and ncnn's benchmarks; Qualcomm's ai-hub-models. None: not stated.
PUBLISHED = [
    ("Pixel 2", "Snapdragon 835", "cortex-a73", 2.4576),
    ("Moto Z3", "Snapdragon 835", "cortex-a73", 2.4576),
    ("Pixel 3", "Snapdragon 845", "cortex-a75", 2.8032),
    ("Pixel 3a", "Snapdragon 670", "cortex-a75", 2.0),
    ("RPi 3B+", "BCM2837B0", "cortex-a53", 1.4),
    ("RPi 4B", "BCM2711", "cortex-a72", 1.5),
    ("Xiaomi mi6", "Snapdragon 835", "cortex-a73", 2.45),
    ("Xiaomi mix2", "Snapdragon 835", "cortex-a73", 2.45),
    ("Xiaomi mi8", "Snapdragon 845", "cortex-a75", 2.8),
    ("Xiaomi MI9", "Snapdragon 855", "cortex-a76", 2.84),
    ("Xiaomi Redmi6 Pro", "Snapdragon 625", "cortex-a53", 1.8),
    ("OnePlus 7T", "Snapdragon 855+", "cortex-a76", 2.96),
    ("Galaxy S9+", "Snapdragon 845", "cortex-a75", None),
    ("Oppo K3", "Snapdragon 710", "cortex-a75", None),
    ("HUAWEI Mate10", "Kirin 970", "cortex-a73", None),
    ("Huawei P30 Pro", "Kirin 980", "cortex-a76", None),
    ("Huawei Mate 30", "Kirin 990", "cortex-a76", 2.86),
    ("Mate30 Pro", "Kirin 990", "cortex-a76", None),
    ("Khadas VIM3", "Amlogic A311D", "cortex-a73", 2.2),
    ("Raspberry Pi Zero 2 W", "BCM2710A1", "cortex-a53", 1.0),
    ("Raspberry Pi 3B", "BCM2837", "cortex-a53", 1.2),
    ("Raspberry Pi 4B", "BCM2711", "cortex-a72", 1.5),
    ("Raspberry Pi 5", "BCM2712", "cortex-a76", 2.4),
    ("Radxa Rock3A", "RK3568", "cortex-a55", 2.0),
    ("OrangePi 5", "RK3588S", "cortex-a76", 2.4),
    ("RK3588 board", "RK3588", "cortex-a76", 2.4),
    ("Dragonwing RB3 Gen 2 Vision Kit", "QCS6490", "cortex-a78", 2.7),
]


@pytest.mark.parametrize(("name", "chip", "core", "ghz"), PUBLISHED)
def test_devices_are_as_published(name: str, chip: str, core: str, ghz: float | None) -> None:
    """Log and heading of one device differ in the third digit."""
    device = find_device(name, SHIPPED)
    assert (device.chip, device.first.core) == (chip, core)
    assert ghz is None or device.first.ghz == pytest.approx(ghz, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "clusters"),
    [
        ("Pixel 4", [("cortex-a76", 1, 2.84), ("cortex-a76", 3, 2.42), ("cortex-a55", 4, 1.78)]),
        ("Pixel 6", [("cortex-x1", 2, 2.80), ("cortex-a76", 2, 2.25), ("cortex-a55", 4, 1.80)]),
        ("Mi 10", [("cortex-a77", 1, 2.84), ("cortex-a77", 3, 2.42), ("cortex-a55", 4, 1.80)]),
        ("Galaxy S21", [("cortex-x1", 1, 2.84), ("cortex-a78", 3, 2.42), ("cortex-a55", 4, 1.80)]),
        ("P30", [("cortex-a76", 2, 2.60), ("cortex-a76", 2, 1.92), ("cortex-a55", 4, 1.80)]),
        ("Rock 5B", [("cortex-a76", 4, 2.40), ("cortex-a55", 4, 1.80)]),
        ("Redmi Note 7", [("cortex-a73", 4, 2.20), ("cortex-a53", 4, 1.84)]),
    ],
)
def test_clusters_are_those_of_the_chip(name: str, clusters: list[tuple[str, int, float]]) -> None:
    found = find_device(name, SHIPPED).soc.clusters
    assert [(each.core, each.count, each.ghz) for each in found] == clusters


def test_a_phone_with_dot_products_is_emulated_with_them() -> None:
    """Not the SD845 and its kin: their A75 and A55 are revisions without them."""
    without = {name for name, device in SHIPPED.items() if "asimddp" not in device.core.features}
    assert {"Pixel 2", "Pixel 3", "Pixel 3a", "Raspberry Pi 4B", "Raspberry Pi 3B+", "Redmi Note 7"} <= without
    assert not without & {"Pixel 4", "Mi 9", "P30", "Pixel 6", "Galaxy S21", "Raspberry Pi 5", "Rock 3A"}


@pytest.mark.parametrize("device", SHIPPED.values(), ids=SHIPPED)
def test_what_ships_is_whole(device: Device) -> None:
    """Every core is known and can be emulated, the first one's peak rates are known, and sources are named."""
    assert {cluster.core for cluster in device.soc.clusters} <= set(core_names())
    peak = CORES[device.first.core].peak_macs
    assert None not in (peak.fp32, peak.int8_dot, peak.int8_matrix)
    assert device.first.ghz == max(cluster.ghz for cluster in device.soc.clusters)
    assert device.soc.source
    assert device.memory is not None
    assert device.memory.source
    for cluster in device.soc.clusters:
        assert cluster.observed_ghz is None or cluster.spec_ghz == pytest.approx(cluster.observed_ghz, rel=0.12)


@pytest.mark.parametrize("spelling", ["Pixel 4", "pixel 4", "pixel-4", "PIXEL_4", "pixel4", "Pixel 4 XL"])
def test_spelling_is_forgiven(spelling: str) -> None:
    assert find_device(spelling, SHIPPED).name == "Pixel 4"


def test_a_plus_is_another_board() -> None:
    assert find_device("rpi 3b", SHIPPED).first.ghz != find_device("rpi 3b+", SHIPPED).first.ghz


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("pixel 4b", ("unknown device 'pixel 4b'", "near names: Pixel 4", "compress devices")),
        ("mate 40", ("near names: Mate 30, Mate 20, Mate 10;", "compress devices")),
        ("toaster", ("no name of", "a file of yours may describe it")),
    ],
)
def test_an_unknown_name_gets_near_ones(name: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError) as caught:
        find_device(name, SHIPPED)
    assert all(part in str(caught.value) for part in parts), caught.value


OWN = """\
socs:
  Dimensity 9999:
    clusters:
      - {core: cortex-x1, count: 1, spec_ghz: 2.6}
      - {core: cortex-a55, count: 7, observed_ghz: 1.9, observed_in: our lab}
    source: our lab
devices:
  Kiosk: {soc: Dimensity 9999}
  Pixel 4 of the lab: {soc: Snapdragon 855, also: [lab phone], memory: {type: LPDDR4X, source: our lab}}
"""


def test_own_devices_stand_beside_those_that_ship(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    devices = load_devices(tmp_path / "own.yaml")
    assert list(devices) == [*SHIPPED, "Kiosk", "Pixel 4 of the lab"]
    kiosk, lab = find_device("kiosk", devices), find_device("Lab-Phone", devices)
    assert [cluster.ghz for cluster in kiosk.soc.clusters] == [2.6, 1.9]
    assert kiosk.memory is None
    assert lab.soc == SHIPPED["Pixel 4"].soc
    assert (lab.memory.peak_gb_per_s, SHIPPED["Pixel 4"].memory.peak_gb_per_s) == (None, 34.1)


MISTAKES = [
    ("cortex-x1", "cortex-x9", "4:16: socs.Dimensity 9999.clusters[0].core: unknown core 'cortex-x9'; did you mean "
     "'cortex-x2'?"),
    ("count: 1", "count: 0", "4:34: socs.Dimensity 9999.clusters[0].count: expected a number of at least 1, got 0"),
    ("spec_ghz: 2.6", "spec_ghz: 2600", "4:47: socs.Dimensity 9999.clusters[0].spec_ghz: expected a number of at most "
     "10, got 2600"),
    (", spec_ghz: 2.6", "", "4:9: socs.Dimensity 9999.clusters[0]: expected spec_ghz or observed_ghz, got neither; add "
     "one"),
    (", observed_in: our lab", "", "5:9: socs.Dimensity 9999.clusters[1]: observed_ghz and observed_in, its source, go "
     "together; add the other"),
    ("    source: our lab", "    sauce: our lab", "3:5: socs.Dimensity 9999: missing key 'source'; add it\n"
     "6:5: socs.Dimensity 9999: unknown key 'sauce'; did you mean 'source'?"),
    ("  Kiosk: {soc: Dimensity 9999}", "  Kiosk: {soc: Dimensity 9998}", "8:16: devices.Kiosk.soc: unknown soc "
     "'Dimensity 9998'; did you mean 'Dimensity 9999'?"),
    ("  Kiosk: {soc: Dimensity 9999}", "  Kiosk: {soc: Exynos}", "8:16: devices.Kiosk.soc: unknown soc 'Exynos'; "
     "describe it under socs, or name one of `compress devices`"),
    ("  Kiosk:", "  pixel-6:", "8:3: devices.pixel-6: the name 'pixel-6' is taken, by 'Pixel 6'; choose another"),
    ("  Kiosk:", "  '---':", "8:3: devices.---: the name '---' has no letter or digit; expected one that can be typed; "
     "rename it"),
    ("[lab phone]", "[lab phone, KIOSK]", "9:63: devices.Pixel 4 of the lab.also[1]: the name 'KIOSK' is taken, by "
     "'Kiosk'; choose another"),
    ("  Dimensity 9999:\n", "  Tensor-G1:\n", "2:3: socs.Tensor-G1: the name 'Tensor-G1' is taken, by 'Tensor G1'; "
     "choose another\n8:16: devices.Kiosk.soc: unknown soc 'Dimensity 9999'; describe it under socs, or name one of "
     "`compress devices`"),
    ("devices:\n", "device:\n", "7:1: unknown key 'device'; did you mean 'devices'?"),
    (OWN, "devices: [Kiosk]\n", "1:10: devices: expected a mapping (key: value), got a list"),
    (OWN, "devices: {Kiosk: 3}\n", "1:18: devices.Kiosk: expected a mapping (key: value), got 3"),
]  # fmt: skip


@pytest.mark.parametrize(("this", "that", "lines"), MISTAKES)
def test_mistakes_of_a_file_have_a_place(tmp_path: Path, this: str, that: str, lines: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN.replace(this, that, 1))
    with pytest.raises(RecipeError) as caught:
        load_devices(path)
    assert str(caught.value).splitlines() == [f"{path}:{line}" for line in lines.splitlines()]
