"""The cores' data, and what programs on them see of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.targets import core_names
from compress.targets.arm64.core_root import make_core_root
from compress.targets.cores import CORES

# Part numbers of Arm Limited as the Linux kernel names them, arch/arm64/include/asm/cputype.h.
LINUX_PARTS = {
    "cortex-a53": 0xD03,
    "cortex-a55": 0xD05,
    "cortex-a72": 0xD08,
    "cortex-a76": 0xD0B,
    "cortex-x2": 0xD48,
}


def test_parts_are_those_of_the_linux_kernel() -> None:
    assert {name: core.part for name, core in CORES.items()} == LINUX_PARTS
    assert core_names() == tuple(LINUX_PARTS)


@pytest.mark.parametrize("name", core_names())
def test_a_core_claims_no_more_than_its_emulation_has(name: str) -> None:
    """QEMU 7.2's cortex-a53 and cortex-a72 are Armv8.0-A; its cortex-a76 has dot products, only `max` has i8mm."""
    core = CORES[name]
    claims = set(core.features)
    assert ("asimddp" in claims) <= (core.cpu not in ("cortex-a53", "cortex-a72"))
    assert ("i8mm" in claims) <= core.cpu.startswith("max")
    assert "sve" not in claims


def test_the_root_describes_the_core(tmp_path: Path) -> None:
    root = tmp_path / "cores" / "cortex-a76"
    make_core_root(CORES["cortex-a76"], root)
    processors = (root / "proc/cpuinfo").read_text().strip().split("\n\n")
    assert len(processors) == 4
    for k, processor in enumerate(processors):
        fields = dict(line.split(":", 1) for line in processor.splitlines())
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        assert fields["processor"] == str(k)
        assert fields["CPU part"] == "0xd0b"
        assert "asimddp" in fields["Features"].split()
    assert (root / "sys/devices/system/cpu/cpu3/cache/index2/size").read_text() == "256K\n"
    assert (root / "usr").readlink() == Path("../../sysroot/usr")
