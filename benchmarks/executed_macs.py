"""Do executed opcodes add up to the network? MobileNetV1-1.0-224, whose multiply-accumulates are published.

Howard et al. 2017, table 4, give 569 million. On the quickstart's tiny images kernels compute up to a fifth more than
the graph asks for (see repeat_counts.py); at 224 pixels their padding is small, and the count must agree within 5 %.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch

from compress.export import export
from compress.export.audit import audit_in_child
from compress.home import default_home
from compress.models.mobile import mobile_cnn
from compress.quantize import Float32, Scheme, StaticInt8, quantize
from compress.targets import arm64, encode, open_session

WIDTHS = (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
PUBLISHED_MACS = 569e6
CORES = ("cortex-a53", "cortex-a76")
ALLOWED = 0.05
SCHEMES: tuple[Scheme, ...] = (Float32(), StaticInt8())


def main() -> int:
    """Print executed against published counts; 1 if they differ by more than 5 %."""
    arm64.install(default_home(), print)
    torch.manual_seed(0)
    images = torch.rand(4, 3, 224, 224)
    network = mobile_cnn(in_channels=3, classes=1000, widths=WIDTHS, strides=STRIDES)
    with torch.no_grad():
        network.train()(images)  # batch norms with statistics of their own inputs
    network.eval()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for scheme in SCHEMES:
            graph = quantize(network, images[:1], scheme, images)
            for fmt in ("tflite", "onnx"):
                file = Path(folder) / f"mobilenet_v1-{scheme.precision}.{fmt}"
                export(graph.module, scheme.precision, fmt, file, images[:1])
                macs = audit_in_child(file)["macs"]
                for core in CORES:
                    with open_session(core, default_home(), timeout_s=900) as session:
                        spec = session.describe(file).inputs[0]
                        counts = session.count(file, encode(spec, images[:1].numpy()), repeats=1)
                    ratio = counts.executed_macs / PUBLISHED_MACS
                    failed |= abs(ratio - 1) > ALLOWED
                    print(
                        f"{file.name:<34}{core:<12}{counts.instructions:>14,} instructions   executed"
                        f" {counts.executed_macs:>13,}   graph {macs:>13,}   executed / published {ratio:.3f}",
                        flush=True,
                    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
