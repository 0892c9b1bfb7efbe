"""The root folder that a program on an emulated core sees: the ARM64 system, under a processor description of its own.

QEMU redirects every absolute path that exists below its `-L` folder. Without /proc/cpuinfo there, a program would read
the host's: ONNX Runtime then crashes on import, LiteRT when it runs a model, and neither would choose the core's
kernels.
"""

from __future__ import annotations

from pathlib import Path

from compress.targets.cores import Core

PROCESSORS = 4


def make_core_root(core: Core, folder: Path) -> None:
    """Make the root of a core.

    Args:
        core: what /proc/cpuinfo describes.
        folder: `cores/NAME` of an installation; must not exist. `sysroot` and `site` are linked relative to it, so that
            the installation can be moved.
    """
    cpus = folder / "sys/devices/system/cpu"
    cpus.mkdir(parents=True)
    for k in range(PROCESSORS):
        (cpus / f"cpu{k}").mkdir()
    for name in ("possible", "present", "online"):
        (cpus / name).write_text(f"0-{PROCESSORS - 1}\n")
    (cpus / "kernel_max").write_text(f"{PROCESSORS - 1}\n")
    (folder / "proc").mkdir()
    (folder / "proc/cpuinfo").write_text("".join(_describe_processor(core, k) for k in range(PROCESSORS)))
    for name in ("usr", "lib", "etc"):
        (folder / name).symlink_to(f"../../sysroot/{name}")
    (folder / "site").symlink_to("../../site")


def _describe_processor(core: Core, index: int) -> str:
    fields = {
        "processor\t": index,
        "BogoMIPS\t": "50.00",
        "Features\t": " ".join(core.features),
        "CPU implementer\t": "0x41",  # Arm Limited
        "CPU architecture": 8,
        "CPU variant\t": "0x4",
        "CPU part\t": f"{core.part:#x}",
        "CPU revision\t": 1,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items()) + "\n"
