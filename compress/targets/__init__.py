"""Where model files run: the host, emulated ARM64 cores, real devices; and the phones and boards that have such cores.

Imports no torch. `devices` is not imported here: it checks files, which takes longer to load than the cores do.
"""

from compress.targets.answers import Counts, ModelInfo
from compress.targets.cores import core_names
from compress.targets.session import HOST, Session, open_session
from compress.targets.tensors import decode, encode

__all__ = ["HOST", "Counts", "ModelInfo", "Session", "core_names", "decode", "encode", "open_session"]
