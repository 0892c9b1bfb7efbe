"""The cores' data, and what programs on them see of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compress.targets import core_names
from compress.targets.arm64 import ENVIRONMENT, Arm64
from compress.targets.arm64.core_root import make_core_root
from compress.targets.cores import CORES, Core

# Part numbers of Arm Limited as the Linux kernel names them, arch/arm64/include/asm/cputype.h.
LINUX_PARTS = {
    "cortex-a53": 0xD03,
    "cortex-a55r0": 0xD05,
    "cortex-a55": 0xD05,
    "cortex-a72": 0xD08,
    "cortex-a73": 0xD09,
    "cortex-a75": 0xD0A,
    "cortex-a76": 0xD0B,
    "cortex-a77": 0xD0D,
    "cortex-a78": 0xD41,
    "cortex-x1": 0xD44,
    "cortex-a510": 0xD46,
    "cortex-a710": 0xD47,
    "cortex-x2": 0xD48,
}

# Bits of the kernel's AT_HWCAP and AT_HWCAP2, arch/arm64/include/uapi/asm/hwcap.h. `evtstrm` is the kernel's, not the
# processor's, and QEMU has none.
HWCAP = {
    **{"fp": 0, "asimd": 1, "aes": 3, "pmull": 4, "sha1": 5, "sha2": 6, "crc32": 7, "atomics": 8, "fphp": 9},
    **{"asimdhp": 10, "cpuid": 11, "asimdrdm": 12, "lrcpc": 15, "dcpop": 16, "asimddp": 20, "sve": 22},
}
HWCAP2 = {"i8mm": 13, "bf16": 14}
ASK = """
import ctypes
ask = ctypes.CDLL(None).getauxval
ask.restype, ask.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
print(ask(16), ask(26))
"""


def test_parts_are_those_of_the_linux_kernel() -> None:
    assert {name: core.part for name, core in CORES.items()} == LINUX_PARTS
    assert core_names() == tuple(LINUX_PARTS)


def test_a_core_claims_what_its_emulation_has(arm64: Arm64, tmp_path: Path) -> None:
    """Oracle: what the emulated kernel grants a program. More would be SIGILL; fewer, another core's kernels."""
    (tmp_path / "ask.py").write_text(ASK)
    granted = {}
    for core in {core.cpu: core for core in CORES.values()}.values():
        command = arm64.command(core, tmp_path, "counts.jsonl", "ask.py")
        done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        hwcap, hwcap2 = map(int, done.stdout.split())
        granted[core.cpu] = {name for name, bit in HWCAP.items() if hwcap >> bit & 1}
        granted[core.cpu] |= {name for name, bit in HWCAP2.items() if hwcap2 >> bit & 1}
    kernels = {"asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve"}
    for core in CORES.values():
        assert set(core.features) - {"evtstrm"} <= granted[core.cpu], core.name
        assert set(core.features) & kernels == granted[core.cpu] & kernels, core.name


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
def test_peaks_are_those_of_the_instructions(core: Core) -> None:
    """A 128-bit vector holds 4 floats, a dot product is 16 multiply-accumulates, a matrix product 32."""
    peak = core.peak_macs
    for rate, feature, step in (
        (peak.fp32, "asimd", 4),
        (peak.int8_dot, "asimddp", 16),
        (peak.int8_matrix, "i8mm", 32),
    ):
        if rate is not None:
            assert (rate != (0, 0)) == (feature in core.features)
            assert 0 <= rate[0] <= rate[1]
            assert rate[0] % step == rate[1] % step == 0


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
