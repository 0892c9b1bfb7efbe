"""Predicted latencies of standard networks on three phones and boards, as docs/latency.md shows them.

Counts what has not been counted yet, the quickest first, and keeps every count: one that was stopped goes on. A network
that cannot be counted is named on stderr and left out. A phone with two fast cores has no prediction for four threads.
"""

from __future__ import annotations

import argparse
import sys

from published import RUNTIME, Ruler
from rulers import SCHEMES, TEXT, count_work

from compress.errors import ModelError
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


NETWORKS = {
    "mobilenet_v3_small": 224,
    "mobilenet_v3_large": 224,
    "mobilenet_v2": 224,
    "squeezenet": 224,
    "efficientnet_lite0": 224,
    "mobilenet_v1": 224,
    "efficientnet_lite1": 240,
    "efficientnet_lite2": 260,
    "efficientnet_lite3": 280,
    "efficientnet_lite4": 300,
    TEXT: 128,
    "resnet_50": 224,
    "inception_v3": 299,
}
"""Name -> height and width of its images, or tokens of its texts; those with the fewest multiply-accumulates first."""


def main() -> int:
    """Print a Markdown table: milliseconds, and the interval, in brackets where nothing published tests it; 1 if a
    network could not be counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=list(SCHEMES))
    options = parser.parse_args()
    devices = load_devices()
    places = [place_threads(find_device(name, devices), threads) for name, threads in PLACES]
    heads = [f"{name}, {threads} thread{'s' if threads > 1 else ''}" for name, threads in PLACES]
    print(f"| network | scheme | {' | '.join(heads)} |")
    print(f"|---|---|{'---:|' * len(PLACES)}")
    failed = False
    for network in options.networks:
        for scheme in ("float32", "dynamic_int8" if network == TEXT else "static_int8"):
            if scheme not in options.schemes:
                continue
            ruler = Ruler(network=network, resolution=NETWORKS[network], width=1.0, scheme=scheme)
            try:
                found = [predict(count_work(ruler, place)[0], place, RUNTIME) for place in places]
            except ModelError as error:
                print(f"{ruler}: {error}", file=sys.stderr, flush=True)
                failed = True
                continue
            cells = [_write(each) for each in found]
            print(f"| {network} | {scheme} | {' | '.join(cells)} |", flush=True)
    return int(failed)


def _write(found: Prediction) -> str:
    interval = f"{found.low:.3g} to {found.high:.3g}"
    return f"{found.ms:.3g} ({interval})" if found.confidence else f"{found.ms:.3g} [{interval}]"


if __name__ == "__main__":
    sys.exit(main())
