"""Where model files run: the host, emulated ARM64 cores, real devices. Imports no torch."""

from compress.targets.answers import Counts, ModelInfo
from compress.targets.cores import core_names
from compress.targets.session import HOST, Session, open_session
from compress.targets.tensors import decode, encode

__all__ = ["HOST", "Counts", "ModelInfo", "Session", "core_names", "decode", "encode", "open_session"]
