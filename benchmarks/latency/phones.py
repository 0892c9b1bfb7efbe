"""Predicted latencies of standard networks on three phones and boards, as docs/latency.md shows them.

Counts what validate.py has not counted yet. A phone with two fast cores has no prediction for four threads.
"""

from __future__ import annotations

import argparse
import sys

from published import RUNTIME, Ruler
from rulers import NETWORKS, SCHEMES, count_work

from compress.targets.devices import find_device, load_devices
from compress.targets.latency.model import Prediction, predict
from compress.targets.latency.placement import place_threads

PLACES = (
    ("Pixel 4", 1),
    ("Pixel 4", 4),
    ("Pixel 3a", 1),
    ("Pixel 3a", 2),
    ("Raspberry Pi 4B", 1),
    ("Raspberry Pi 4B", 4),
)


def main() -> int:
    """Print a Markdown table: milliseconds, and the interval; in brackets where nothing published tests it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=list(SCHEMES))
    options = parser.parse_args()
    devices = load_devices()
    places = [place_threads(find_device(name, devices), threads) for name, threads in PLACES]
    heads = [f"{name}, {threads} thread{'s' if threads > 1 else ''}" for name, threads in PLACES]
    print(f"| network | scheme | {' | '.join(heads)} |")
    print(f"|---|---|{'---:|' * len(PLACES)}")
    for network in options.networks:
        for scheme in options.schemes:
            ruler = Ruler(network=network, resolution=224, width=1.0, scheme=scheme)
            found = [predict(count_work(ruler, place)[0], place, RUNTIME) for place in places]
            cells = [_write(each) for each in found]
            print(f"| {network} | {scheme} | {' | '.join(cells)} |", flush=True)
    return 0


def _write(found: Prediction) -> str:
    interval = f"{found.low:.3g} to {found.high:.3g}"
    return f"{found.ms:.3g} ({interval})" if found.confidence else f"{found.ms:.3g} [{interval}]"


if __name__ == "__main__":
    sys.exit(main())
