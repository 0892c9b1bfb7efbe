"""What a training step costs in float32, in bf16, and in bf16 with its grouped convolutions in float32, as we train.

The quickstart's networks, batches of 128 images of 28 x 28 pixels, channels last; the three ways take turns, and only
ratios mean something. Where the processor does not multiply bf16 there is nothing to compare, and the script says so.
The claim: the way that `compress.distill.choose_device` takes is the fastest for the mobile student, and faster than
float32 for the residual teacher.

Takes about a minute on 2 cores; --quick about 5 seconds.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from trials import Options, Trials, print_table, read_options

from compress.distill import choose_device
from compress.models.mobile import mobile_cnn
from compress.models.resnet import resnet

Way = Callable[[], AbstractContextManager[object]]
WAYS: dict[str, Way] = {
    "float32": choose_device("float32").autocast,
    "bf16": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
    "bf16, grouped in float32": choose_device().autocast,
}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "residual teacher": lambda: resnet(in_channels=1, classes=10, widths=(32, 64, 224)),
    "mobile student": lambda: mobile_cnn(in_channels=1, classes=10),
}
BATCH, STEPS, ROUNDS = 128, 10, 15


def main() -> int:
    """Measure, print, write; 0 if the claim holds."""
    options = read_options(__doc__ or "", "precision")
    if not choose_device().bf16 or choose_device().name != "cpu":
        print("this machine does not train in bf16 on its processor: nothing to compare")
        return 0
    found = {name: time_ways(make(), 1 if options.quick else ROUNDS) for name, make in NETWORKS.items()}
    ratios = {name: {way: ratio_to_float32(times, way) for way in WAYS} for name, times in found.items()}
    rows = [[name, *(f"{ratios[name][way]:.2f}" for way in WAYS)] for name in NETWORKS]
    print_table("Time of a training step, ratio to float32 (median of rounds)", ["", *WAYS], rows)
    Trials("precision", options).write({"ratios": ratios, "milliseconds": found})
    return judge(ratios, options)


def time_ways(model: nn.Module, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of a step, for every way and round."""
    model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True)
    random = torch.Generator().manual_seed(0)
    images = torch.rand(BATCH, 1, 28, 28, generator=random).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,), generator=random)

    def step(way: Way) -> None:
        with way():
            logits = model(images)
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):  # the first warms up
        for name, way in WAYS.items():
            started = time.perf_counter()
            for _ in range(STEPS):
                step(way)
            if number:
                times[name].append(1000 * (time.perf_counter() - started) / STEPS)
    return times


def ratio_to_float32(times: dict[str, list[float]], way: str) -> float:
    """Median over the rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(times[way], times["float32"], strict=True))


def judge(ratios: dict[str, dict[str, float]], options: Options) -> int:
    """1 if the claim falls short and the figures mean something."""
    *others, ours = WAYS
    short = [f"{ours} is not the fastest for the mobile student"] * any(
        ratios["mobile student"][ours] >= ratios["mobile student"][other] for other in others
    )
    short += [f"{ours} is no faster than float32 for the teacher"] * (ratios["residual teacher"][ours] >= 1)
    for line in short:
        print(f"falls short: {line}")
    return int(bool(short) and not options.quick)


if __name__ == "__main__":
    sys.exit(main())
