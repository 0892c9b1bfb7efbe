"""Are the counts exact? Each model is counted in two sessions of its own, and the counts are held against each other.

The last two columns hold the executed multiply-accumulates against the graph's, and against those of the tiles that
the kernels round its layers up to (see tiles.py): these must agree within 5 %.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from tiles import padded_macs

from compress.home import default_home
from compress.targets import open_session
from compress.types import Results

CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")
ALLOWED = {"litert": 0.0, "onnxruntime": 0.001}
ALLOWED_MACS = 0.05


def main() -> int:
    """Print the table; 1 if a count does not repeat, or does not agree with the kernels' tiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of a finished quickstart run")
    folder = parser.parse_args().folder
    results = Results.load(folder / "results.json")
    measured = {(m.artifact, m.metric, m.target): m for m in results.measurements}
    failed, compared = False, 0
    print(
        f"{'artifact':<26}{'core':<12}{'instructions':>14}{'again':>14}{'difference':>12}{'MACs: / graph':>15}"
        f"{'/ tiles':>9}"
    )
    for artifact in (a for a in results.artifacts if a.format != "safetensors"):
        for core in CORES:
            first = measured.get((artifact.sha256, "instructions", core))
            if first is None:
                continue
            spec = artifact.inputs[0]
            sample = np.zeros([size or 1 for size in spec.shape], spec.dtype)
            compared += 1
            counts = []
            for _ in range(2):
                with open_session(core, default_home(), timeout_s=600) as session:
                    counts.append(session.count(folder / artifact.path, sample))
            difference = abs(counts[1].instructions / counts[0].instructions - 1)
            failed |= difference > ALLOWED[first.runtime.split()[0]]
            executed = counts[0].executed_macs
            ratio = executed / measured[artifact.sha256, "macs", "host"].value
            layers = padded_macs(folder / artifact.path, artifact.precision, core)
            agreement = executed / sum(macs for _, macs in layers) if layers else math.nan
            failed |= abs(agreement - 1) > ALLOWED_MACS  # never where no tiles are known
            print(
                f"{artifact.name:<26}{core:<12}{counts[0].instructions:>14,}{counts[1].instructions:>14,}"
                f"{difference:>12.4%}{ratio:>15.4f}{agreement:>9.4f}"
            )
    if not compared:
        print(f"{folder}: no instruction counts; run its recipe with benchmark.arm64", file=sys.stderr)
    return int(failed or not compared)


if __name__ == "__main__":
    sys.exit(main())
