"""Two processes under torchrun train what one does: gloo on a CPU, the global batch the same.

Users of other libraries report the opposite: with DataParallel the global batch grew with the number of GPUs and the
learning rate did not (three code bases of the papers on distillation). Here the recipe's batch is the global one,
whatever the number of processes, and batch norms see all of it.

- A student of a cached teacher, with random views, for three seeds in one process and in two: the random numbers are
  the same, so what differs is rounding, which grows as training goes on. Claim: the mean test accuracies are no further
  apart than the standard deviation over the seeds.
- One epoch without augmentation and dropout, in float32 also where bf16 is faster. Claim: a network without kinks
  (SiLU) ends in the same weights within 1e-5: the norm of the difference over the norm of the weights, running
  statistics included. ReLU6 is shown beside it, with what one process makes of another number of threads: sums in
  another order put some unit on the other side of a kink, where its gradient is another one. A second process makes no
  more of a difference than a second thread.

Takes about 15 minutes on 2 cores without bf16; --quick about 15 seconds.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from trials import Figures, Options, Trials, mean_sd, print_table, read_options

from compress.distill import Distillation, Schedule, TransferSet, ask_teachers, choose_device, open_world, train
from compress.tasks import Task

sys.path.append(str(Path(__file__).parents[1]))
from images import (
    ANSWERS,
    STUDENT,
    TEACHER,
    build,
    load_task,
    obtain,
    residual,
    score,
    shorten,
    small_mobile,
    smooth_mobile,
    taught_by,
)

ALLOWED = 1e-5
TAUGHT = dataclasses.replace(STUDENT, epochs=6)
PLAIN = dataclasses.replace(STUDENT, epochs=1, augment=None, precision="float32")
JOBS: dict[str, tuple[Callable[[], nn.Module], Schedule]] = {
    "taught": (small_mobile, TAUGHT),
    "SiLU": (smooth_mobile, PLAIN),
    "ReLU6": (small_mobile, PLAIN),
}
FOLLOWS = "COMPRESS_BENCHMARK_PROCESSES"
"""The variable that tells this script that torchrun started it, and what for."""
Weights = dict[str, Tensor]


def main() -> int:
    """Measure, print, write; 0 if the claims hold."""
    options = read_options(__doc__ or "", "processes")
    trials = Trials("processes", options)
    task = load_task(options.quick)
    found = [measure_seed(trials, task, seed, options.quick) for seed in options.seeds]
    accuracies = {size: [each["accuracies"][size] for each in found] for size in found[0]["accuracies"]}
    differences = {name: [each["differences"][name] for each in found] for name in found[0]["differences"]}
    print_table(
        f"Test accuracy in %, {len(found)} seed(s)",
        ["", "mean"],
        [[f"{size} process(es)", mean_sd(values, scale=100)] for size, values in accuracies.items()],
    )
    print_table(
        "Weights after one epoch, relative difference to one process",
        ["network", *(f"seed {seed}" for seed in options.seeds)],
        [[name, *(f"{value:.1e}" for value in values)] for name, values in differences.items()],
    )
    trials.write({"accuracies": accuracies, "weight_differences": differences})
    return judge(accuracies, differences, options)


def measure_seed(trials: Trials, task: Task, seed: int, quick: bool) -> Figures:
    """Accuracies by the number of processes, and how far weights after an epoch are from those of one process."""

    def measure(work: Path) -> Figures:
        teacher = obtain(residual, task, shorten(TEACHER, quick), seed=seed)
        ask_teachers(learn_from(teacher), TransferSet.of_split(task.train), TAUGHT, seed=seed, device=choose_device())
        other = 1 if torch.get_num_threads() > 1 else 2
        runs = {
            "1 process": train_alone(work / "one", seed, quick, tuple(JOBS)),
            "2 processes": train_together(work / "two", seed, quick),
            f"1 process, {other} thread(s)": train_alone(work / "threads", seed, quick, ("ReLU6",), other),
        }
        one = runs.pop("1 process")
        differences = {
            f"{name}, {run}": difference(weights[name], one[name])
            for run, weights in runs.items()
            for name in ("SiLU", "ReLU6")
            if name in weights
        }
        student, accuracies = build(small_mobile, seed), {}
        for size, weights in (("1", one), ("2", runs["2 processes"])):
            student.load_state_dict(weights["taught"])
            accuracies[size] = score([student], task)["test"]
        return {"accuracies": accuracies, "differences": differences}

    settings = {"task": task.name, "seed": seed}
    return trials.run(settings, measure)


def train_alone(folder: Path, seed: int, quick: bool, names: tuple[str, ...], threads: int = 0) -> dict[str, Weights]:
    """Weights that this process trains, with `threads` threads, or as many as it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        train_all(folder, seed, quick, names)
    finally:
        torch.set_num_threads(before)
    return read_all(folder, names)


def train_together(folder: Path, seed: int, quick: bool) -> dict[str, Weights]:
    """Weights that two processes train, each with as many threads as this one has."""
    job = json.dumps({"folder": str(folder), "seed": seed, "quick": quick})
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), FOLLOWS: job}
    subprocess.run([*launcher, __file__], check=True, env=environment)
    return read_all(folder, tuple(JOBS))


def train_all(folder: Path, seed: int, quick: bool, names: tuple[str, ...]) -> None:
    """This process's part of some trainings; the leader writes the weights."""
    task = load_task(quick)
    folder.mkdir(parents=True, exist_ok=True)
    with open_world(choose_device().name) as world:
        for name in names:
            make, schedule = JOBS[name]
            student, lesson = build(make, seed), None
            if name == "taught":
                lesson = learn_from(obtain(residual, task, shorten(TEACHER, quick), seed=seed))
            train(
                student,
                TransferSet.of_split(task.train),
                task.validation,
                shorten(schedule, quick),
                seed=seed,
                checkpoint=folder / f"{name}.pt",
                distillation=lesson,
                world=world,
            )
            if world.leads:
                torch.save(student.state_dict(), folder / f"{name}.weights")


def read_all(folder: Path, names: tuple[str, ...]) -> dict[str, Weights]:
    """What `train_all` has left."""
    return {name: torch.load(folder / f"{name}.weights", weights_only=True) for name in names}


def learn_from(teacher: nn.Module) -> Distillation:
    """To learn a teacher's cached answers."""
    return Distillation(teachers=taught_by(teacher), cache=ANSWERS)


def difference(weights: Weights, reference: Weights) -> float:
    """Norm of the difference over the norm of the reference, of all weights and statistics together."""
    pairs = [(weights[name].double(), reference[name].double()) for name in reference]
    squares = [float((a - b).square().sum()) for a, b in pairs]
    return float((sum(squares) / sum(float(b.square().sum()) for _, b in pairs)) ** 0.5)


def judge(accuracies: dict[str, list[float]], differences: dict[str, list[float]], options: Options) -> int:
    """1 if a claim falls short and the figures mean something."""
    short = []
    one, two = accuracies.values()
    noise = statistics.stdev(one) if len(one) > 1 else 0.0
    apart = abs(statistics.mean(one) - statistics.mean(two))
    if apart > noise:
        short.append(f"mean accuracies are {100 * apart:.2f} points apart; the seeds' deviation is {100 * noise:.2f}")
    worst = max(differences["SiLU, 2 processes"])
    if worst > ALLOWED:
        short.append(f"weights are {worst:.1e} apart; expected {ALLOWED:.0e}")
    for line in short:
        print(f"falls short: {line}")
    return int(bool(short) and not options.quick)


if __name__ == "__main__":
    if FOLLOWS in os.environ:
        job = json.loads(os.environ[FOLLOWS])
        train_all(Path(job["folder"]), job["seed"], job["quick"], tuple(JOBS))
        sys.exit()
    sys.exit(main())
