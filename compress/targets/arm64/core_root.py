"""The root folder that a program on an emulated core sees: the ARM64 system, under a processor description of its own.

QEMU redirects every absolute path that exists below its `-L` folder. Without /proc/cpuinfo there, a program would read
the host's: ONNX Runtime then crashes on import, LiteRT when it runs a model, and neither would choose the core's
kernels.
"""

from __future__ import annotations

from pathlib import Path

from compress.targets.cores import Core

SYSTEM = "sys/devices/system/cpu"
PROCESSORS = 4
CLOCK_KHZ = 2_000_000  # only ranks the cores of one processor; here all are alike


def make_core_root(core: Core, folder: Path) -> None:
    """Make the root of a core, with everything in it that the runtimes would else read of the host.

    Args:
        core: what /proc/cpuinfo and /sys describe.
        folder: `cores/NAME` of an installation; must not exist. `sysroot` and `site` are linked relative to it, so that
            the installation can be moved.
    """
    for name, content in list_files(core).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "sys/bus/pci/devices").mkdir(parents=True)  # no accelerator to discover
    for name in ("usr", "lib", "etc"):
        (folder / name).symlink_to(f"../../sysroot/{name}")
    (folder / "site").symlink_to("../../site")


def list_files(core: Core) -> dict[str, str]:
    """The files by which a program knows the core, each with its content."""
    everyone = f"0-{PROCESSORS - 1}"
    files = {
        "proc/cpuinfo": "".join(_describe_processor(core, k) for k in range(PROCESSORS)),
        **{f"{SYSTEM}/{name}": f"{everyone}\n" for name in ("possible", "present", "online")},
        f"{SYSTEM}/kernel_max": f"{PROCESSORS - 1}\n",
    }
    for k in range(PROCESSORS):
        for name, value in _list_properties(core, k, everyone).items():
            files[f"{SYSTEM}/cpu{k}/{name}"] = f"{value}\n"
    return files


def _list_properties(core: Core, index: int, everyone: str) -> dict[str, str]:
    return {
        "cache/index2/level": "2",
        "cache/index2/size": f"{core.l2_kib}K",
        "cache/index2/shared_cpu_list": everyone if core.l2_shared else f"{index}",
        "topology/physical_package_id": "0",
        "topology/cluster_cpus_list": everyone,
        "cpufreq/cpuinfo_min_freq": f"{CLOCK_KHZ}",
        "cpufreq/cpuinfo_max_freq": f"{CLOCK_KHZ}",
    }


def _describe_processor(core: Core, index: int) -> str:
    fields = {
        "processor\t": index,
        "BogoMIPS\t": "50.00",
        "Features\t": " ".join(core.features),
        "CPU implementer\t": "0x41",  # Arm Limited
        "CPU architecture": 8,
        "CPU variant\t": f"{core.variant:#x}",
        "CPU part\t": f"{core.part:#x}",
        "CPU revision\t": 1,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items()) + "\n"
