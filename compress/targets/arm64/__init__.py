"""Emulated ARM64 cores: QEMU, a small ARM64 system with the real runtimes in it, and a counter of instructions.

Everything lives in one private folder, made without root and without touching the system.
"""

from compress.targets.arm64.install import install
from compress.targets.arm64.installation import ENVIRONMENT, Arm64, find, fingerprint
from compress.targets.arm64.kernels import Kernels, load_kernels

__all__ = ["ENVIRONMENT", "Arm64", "Kernels", "find", "fingerprint", "install", "load_kernels"]
