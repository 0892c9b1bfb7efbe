"""All losses on one pair of networks: what does each recover of the gap, and what does an epoch of it cost?

Published settings: Hinton et al. 2015 (soft targets, 0.9 against labels), Sun et al. 2024 (standardised logits at
temperature 2, 9 against 0.1 of labels), Ba & Caruana 2014 (logits alone), Zhao et al. 2022 (DKD with labels, but
without their warm-up of 20 of 240 epochs), Huang et al. 2022 (DIST with labels, weights 2 and 2, temperature 4), Tian
et al. 2020's comparison (attention transfer 1000, relations 25 and 50, each beside labels; its 100 for hints is for a
quarter of our learning rate, and here diverged: of 1, 10 and 30, 10 was best on validation, on one seed). The features
are matched beside soft targets too. Their figures are CIFAR-100's, resnet110 to resnet20 (the student alone 69.06 %,
its teacher 74.31 %), of the best epoch on test; here it is the last epoch. Into MobileNetV2 hint, attention and
relations were worse than no teacher.

Here: a residual CNN of 170,000 parameters teaches a mobile CNN of 5,000 on 20,000 images of Fashion-MNIST. Every loss
learns from the same teacher of its seed, with the same views; losses on logits read the same cached answers. The winner
is the one with the highest mean accuracy on validation. The claim that is judged: the loss of the quickstart, DIST, is
within one standard deviation (over the seeds, of the difference) of the winner on validation.

What an epoch costs is measured afterwards, all losses in turn; only ratios mean something, and the teacher's first pass
is not in them.

Takes about 60 minutes on 2 cores without bf16; --quick about 12 seconds.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from pathlib import Path

from torch import nn
from trials import Figures, Options, Trials, gap_recovered, mean_sd, print_table, read_options

from compress.distill import (
    DIST,
    DKD,
    AttentionTransfer,
    Distillation,
    FeatureMatch,
    Hint,
    LogitRegression,
    RelationalAngle,
    RelationalDistance,
    SoftTargets,
    TransferSet,
    ask_teachers,
    choose_device,
    train,
)
from compress.distill.losses import LogitObjective
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
    taught_by,
)

DEFAULT = "DIST"
LOGITS: dict[str, tuple[LogitObjective, float]] = {
    **{f"soft targets, T={t:g}": (SoftTargets(temperature=t), 0.9) for t in (1.0, 2.0, 4.0, 8.0)},
    "soft targets, standardised, T=2": (SoftTargets(temperature=2.0, standardize=True), 9 / 9.1),
    "logit regression": (LogitRegression(), 1.0),
    "DKD": (DKD(temperature=4.0, alpha=1.0, beta=8.0), 0.5),
    "DIST": (DIST(temperature=4.0, inter=2.0, intra=2.0), 0.5),
}
FEATURES: dict[str, tuple[FeatureMatch, ...]] = {
    "hint": (FeatureMatch(student_layer="blocks.1", teacher_layer="blocks.1", loss=Hint(weight=10), project=True),),
    "attention": tuple(
        FeatureMatch(student_layer=f"blocks.{i}", teacher_layer=f"blocks.{i}", loss=AttentionTransfer(weight=1000))
        for i in range(3)
    ),
    "relations": tuple(
        FeatureMatch(student_layer="pool", teacher_layer="pool", loss=loss)
        for loss in (RelationalDistance(weight=25), RelationalAngle(weight=50))
    ),
}
"""Name -> pairs of layers: of the same depth and, but for the last block, of the same height and width."""

PAPER = {
    "teacher": "74.31",
    "labels alone": "69.06",
    "soft targets, T=4": "70.67",
    "soft targets, standardised, T=2": "71.48",
    "DKD": "71.06",
    "hint + labels": "68.99",
    "attention + labels": "70.22",
    "relations + labels": "69.25",
}
"""Accuracy in %, CIFAR-100, resnet110 to resnet20 (Tian et al. 2020; Zhao et al. 2022; Sun et al. 2024)."""

BESIDE = (("labels", 0.0), ("soft targets", 0.9))
"""What features are matched beside, and the weight of the soft targets."""

TURNS = 5
"""How often each loss trains an epoch for its cost."""


def main() -> int:
    """Train, print, write; 0 if the claim holds."""
    options = read_options(__doc__ or "", "losses")
    trials = Trials("losses", options)
    task = load_task(options.quick)
    names = [*LOGITS, *(f"{feature} + {beside}" for feature in FEATURES for beside, _ in BESIDE)]
    found = {
        name: [measure_loss(trials, task, name, seed, options.quick) for seed in options.seeds]
        for name in ("teacher", "labels alone", *names)
    }
    costs = measure_costs(trials, task, ["labels alone", *names], options.quick)
    validation = {name: [each["validation"] for each in found[name]] for name in names}
    winner = max(names, key=lambda name: statistics.mean(validation[name]))
    print_table(
        f"Residual CNN to mobile CNN, {len(options.seeds)} seed(s); best on validation: {winner}",
        ["", "papers, %", "validation, %", "test, %", "gap recovered, %", "epoch, ratio to labels"],
        [row(name, found, winner, costs) for name in found],
    )
    trials.write(
        {
            "winner": winner,
            "default": DEFAULT,
            "test": {name: [each["test"] for each in found[name]] for name in found},
            "epoch_cost": costs,
        }
    )
    return judge(validation[winner], validation[DEFAULT], winner, options)


def measure_loss(trials: Trials, task: Task, name: str, seed: int, quick: bool) -> Figures:
    """Accuracies of the teacher, or of a student that one loss has trained."""
    teacher_schedule, schedule = shorten(TEACHER, quick), shorten(STUDENT, quick)

    def measure(work: Path) -> Figures:
        teacher = obtain(residual, task, teacher_schedule, seed=seed)
        if name == "teacher":
            return score([teacher], task)
        student = build(small_mobile, seed)
        train(
            student,
            TransferSet.of_split(task.train),
            task.validation,
            schedule,
            seed=seed,
            checkpoint=work / "student.pt",
            distillation=make_lesson(name, teacher),
        )
        return score([student], task)

    settings = {
        "task": task.name,
        "seed": seed,
        "name": name,
        "schedules": [repr(teacher_schedule), repr(schedule)],
    }
    return trials.run(settings, measure)


def measure_costs(trials: Trials, task: Task, names: list[str], quick: bool) -> dict[str, list[float]]:
    """Of each loss, the seconds of one epoch over those of labels alone, in each of several rounds."""
    transfer, schedule = TransferSet.of_split(task.train), dataclasses.replace(STUDENT, epochs=1)

    def train_epoch(lesson: Distillation | None, file: Path) -> float:
        if lesson:
            ask_teachers(lesson, transfer, schedule, seed=0, device=choose_device())
        started = time.perf_counter()
        train(
            build(small_mobile, 0),
            transfer,
            task.validation,
            schedule,
            seed=0,
            checkpoint=file,
            distillation=lesson,
        )
        return time.perf_counter() - started

    def measure(work: Path) -> Figures:
        teacher = obtain(residual, task, shorten(TEACHER, quick), seed=0)
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(1 if quick else TURNS):
            for number, name in enumerate(names):
                seconds[name].append(train_epoch(make_lesson(name, teacher), work / f"{turn}-{number}.pt"))
        return {"epoch_seconds": seconds}

    found = trials.run({"task": task.name, "names": names, "schedule": repr(schedule)}, measure)["epoch_seconds"]
    return {name: [a / b for a, b in zip(found[name], found[names[0]], strict=True)] for name in names}


def make_lesson(name: str, teacher: nn.Module) -> Distillation | None:
    """What a row of the table learns from the teacher."""
    if name in LOGITS:
        loss, alpha = LOGITS[name]
        return Distillation(teachers=taught_by(teacher), loss=loss, alpha=alpha, cache=ANSWERS)
    feature, _, beside = name.partition(" + ")
    if feature not in FEATURES:
        return None
    return Distillation(teachers=taught_by(teacher), alpha=dict(BESIDE)[beside], features=FEATURES[feature])


def row(name: str, found: dict[str, list[Figures]], winner: str, costs: dict[str, list[float]]) -> list[str]:
    """One line of the table."""
    means = {
        each: statistics.mean(figures["test"] for figures in found[each]) for each in (name, "teacher", "labels alone")
    }
    shown = [f"{'> ' if name == winner else ''}{name}", PAPER.get(name, "")]
    shown += [mean_sd([figures[split] for figures in found[name]], scale=100) for split in ("validation", "test")]
    if name == "teacher":
        return [*shown, "", ""]
    alone, distilled, teacher = means["labels alone"], means[name], means["teacher"]
    gap = f"{100 * gap_recovered(alone, distilled, teacher):.0f}" if teacher > alone else ""
    return [*shown, gap, mean_sd(costs[name])]


def judge(winner: list[float], default: list[float], name: str, options: Options) -> int:
    """1 if the default is clearly worse than the winner, and the figures mean something."""
    differences = [one - other for one, other in zip(winner, default, strict=True)]
    noise = statistics.stdev(differences) if len(differences) > 1 else 0.0
    if statistics.mean(differences) <= noise:
        return 0
    print(f"falls short: {name} beats the default on validation by {100 * statistics.mean(differences):.2f} points")
    return int(not options.quick)


if __name__ == "__main__":
    sys.exit(main())
