"""Born-again networks (Furlanello et al. 2018): a student of the teacher's own architecture, three generations long.

The paper, CIFAR-100, DenseNet-112-33, test error: teacher 18.25 %, generations 17.61, 17.22, 16.59, mean probability of
the first two 15.77 and of all three 15.68; on CIFAR-10 three of its eight networks did not improve at all.

Here, on 20,000 images of Fashion-MNIST, as in the paper: each generation starts from other weights and learns from the
one before, at temperature 1, with the teacher's schedule. In three ways, for what a generation can gain depends on what
the one before has over the labels:
- mobile: a mobile CNN of 32,000 parameters that sees new views in every epoch, and errs on many of them;
- mobile, labels too: the same, half of whose loss is the labels';
- residual: a residual CNN of 170,000 parameters that sees the same images in all epochs, and learns them by heart, as
  the paper's networks do.
The claim that is judged is the one that holds throughout the paper: the generations together are better than the first
network. To tell that from what any three networks gain together, the table also has three networks of other seeds that
learnt from labels alone.

Takes about 60 minutes on one core with bf16; --quick, of the first way alone, about 8 seconds.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from trials import Figures, Options, Trials, mean_sd, print_table, read_options

from compress.distill import Distillation, Schedule, SoftTargets
from compress.tasks import Task

sys.path.append(str(Path(__file__).parents[1]))
from images import ANSWERS, STUDENT, TEACHER, load_task, mobile, obtain, residual, score, shorten, taught_by

GENERATIONS = 3
PAPER = {
    "teacher": "18.25",
    "generation 1": "17.61",
    "generation 2": "17.22",
    "generation 3": "16.59",
    "generations 1 to 2": "15.77",
    "generations 1 to 3": "15.68",
    "3 networks on labels": "",
}


@dataclass(frozen=True)
class Way:
    """A network, how it learns, and the weight of what its teacher says."""

    make: Callable[[], nn.Module]
    schedule: Schedule
    alpha: float = 1.0


WAYS = {
    "mobile": Way(mobile, STUDENT),
    "mobile, labels too": Way(mobile, STUDENT, alpha=0.5),
    "residual": Way(residual, dataclasses.replace(TEACHER, augment=None)),
}


def main() -> int:
    """Train, print, write; 0 if the claim holds."""
    options = read_options(__doc__ or "", "born_again")
    trials = Trials("born_again", options)
    task = load_task(options.quick)
    ways = {"mobile": WAYS["mobile"]} if options.quick else WAYS
    errors = {}
    for name, way in ways.items():
        found = [measure_seed(trials, task, way, seed, options.quick) for seed in options.seeds]
        errors[name] = {who: [100 * (1 - figures[who]["test"]) for figures in found] for who in PAPER}
    print_table(
        f"Test error in %, {len(options.seeds)} seed(s)",
        ["", "paper, CIFAR-100", *ways],
        [[who, PAPER[who], *(mean_sd(errors[name][who]) for name in ways)] for who in PAPER],
    )
    trials.write({"test_error_percent": errors})
    return judge(errors, options)


def measure_seed(trials: Trials, task: Task, way: Way, seed: int, quick: bool) -> Figures:
    """Accuracies of a teacher, its generations and their ensembles."""
    schedule = shorten(way.schedule, quick)

    def measure(_: Path) -> Figures:
        generations = [obtain(way.make, task, schedule, seed=seed)]
        for number in range(1, GENERATIONS + 1):
            loss = SoftTargets(temperature=1.0)
            teachers = taught_by(generations[-1])
            lesson = Distillation(teachers=teachers, loss=loss, alpha=way.alpha, cache=ANSWERS)
            generations.append(obtain(way.make, task, schedule, seed=seed, number=number, distillation=lesson))
        others = [obtain(way.make, task, schedule, seed=seed, number=number) for number in range(1, GENERATIONS)]
        return {name: score(models, task) for name, models in name_all(generations, others).items()}

    settings = {
        "task": task.name,
        "network": way.make.__name__,
        "alpha": way.alpha,
        "seed": seed,
        "schedule": repr(schedule),
    }
    return trials.run(settings, measure)


def name_all(generations: list[nn.Module], others: list[nn.Module]) -> dict[str, list[nn.Module]]:
    """What is measured, by its name in the table."""
    teacher, *born = generations
    singles = {f"generation {number}": [model] for number, model in enumerate(born, start=1)}
    ensembles = {f"generations 1 to {last}": born[:last] for last in range(2, len(born) + 1)}
    return {"teacher": [teacher], **singles, **ensembles, f"{len(others) + 1} networks on labels": [teacher, *others]}


def judge(errors: dict[str, dict[str, list[float]]], options: Options) -> int:
    """1 if the generations together are no better than the first network, and the figures mean something."""
    short = []
    print()
    for way, errors_of in errors.items():
        names = (f"generations 1 to {GENERATIONS}", "teacher", f"{GENERATIONS} networks on labels")
        together, teacher, others = (sum(errors_of[name]) for name in names)
        better = "more" if together < others else "no more"
        print(f"{way}: together the generations gained {better} than any {GENERATIONS} networks on labels alone")
        if together >= teacher:
            short.append(way)
    for way in short:
        print(f"falls short: {way}: the generations together are no better than the first network")
    return int(bool(short) and not options.quick)


if __name__ == "__main__":
    sys.exit(main())
