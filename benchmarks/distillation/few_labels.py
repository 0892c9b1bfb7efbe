"""Hinton, Vinyals & Dean 2015, section 5: soft targets carry what 3 % of the data cannot say in labels.

The paper, on speech: with all data and labels 58.9 % of the frames are right; with 3 % of the data and labels 44.5 %,
and only if it stops early; with the same 3 % and the soft targets of a net that saw all the data 57.0 %, without
stopping: (57.0 - 44.5) / (58.9 - 44.5) = 87 % of the gap.

Here: Fashion-MNIST. The same student (784-800-800-10) takes the same number of steps on all data with labels, on 3 %
with labels (a tenth of the steps as well, in the place of early stopping), and on those 3 % with soft targets alone, of
the teacher that saw all the data. Their 3 % were 20 million frames; 1,620 images are few questions to ask a teacher. So
each is trained twice: on the images as they are, as in the paper, and in views (mirrored, with a black square), about
which a teacher can be asked anew while a label only says the same again. Validation chooses for each of the three.
Asked: 80 % of the gap.

Takes about 30 minutes on 2 cores without bf16 where `hinton.py` has trained the teachers, 20 more where it has not;
--quick about 10 seconds.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from perceptrons import (
    STUDENT,
    STUDENT_WIDTH,
    TEACHINGS,
    checkpoint_in,
    errors_of,
    load_task,
    perceptron,
    share_of_gap,
    shorten,
    soften,
    teach,
)
from trials import Figures, Trials, mean_sd, print_table, read_options

from compress.distill import Augment, TransferSet, train
from compress.tasks import Task

SHARE = 0.03
ASKED = 0.8
"""Share of the gap that soft targets must recover."""
TEMPERATURE = 4.0
VIEWS = Augment(pad=0, flip=True, cutout=10)
ALL, HARD, SOFT = "all data, labels", "3 %, labels", "3 %, soft targets"
PAPER = {ALL: "58.9", HARD: "44.5", SOFT: "57.0"}


@dataclass(frozen=True)
class Lesson:
    """One way to train the student.

    kind: what it learns from; validation chooses among the lessons of a kind.
    views: whether images are seen in views, another one each time.
    length: share of the steps.
    """

    kind: str
    views: bool
    length: float = 1.0

    def __str__(self) -> str:
        return self.kind + ", views" * self.views + f", {self.length:g} of the steps" * (self.length < 1)


LESSONS = (
    *(Lesson(kind, views) for kind in PAPER for views in (False, True)),
    Lesson(HARD, views=False, length=0.1),
)
Errors = Mapping[Lesson, Sequence[Figures]]
"""Figures of each seed."""


def main() -> int:
    """Train, print, write; 0 if the claim holds."""
    options = read_options(__doc__ or "", "few_labels")
    trials = Trials("few_labels", options)
    task = load_task("fashion-mnist", options.quick)
    teachers = [measure_teacher(trials, task, seed, options.quick) for seed in options.seeds]
    errors = {
        lesson: [learn(trials, task, lesson, seed, options.quick) for seed in options.seeds] for lesson in LESSONS
    }
    summary = summarise(errors, len(task.test))
    chosen = summary["chosen"].values()
    rows = [
        [str(lesson), percent(errors[lesson], task), "chosen" if str(lesson) in chosen else "", PAPER[lesson.kind]]
        for lesson in sorted(LESSONS, key=lambda lesson: list(PAPER).index(lesson.kind))
    ]
    print_table(
        f"{task.name}: % right of {len(task.test)} test images, by {len(options.seeds)} seed(s)",
        ["", "ours", "on validation", "paper, speech"],
        [["the teacher", percent(teachers, task), "", ""], *rows],
    )
    print(f"gap recovered: {summary['gap_recovered']:.0%}; the paper: 87%")
    trials.write(summary)
    if summary["gap_recovered"] < ASKED:
        print(f"falls short of {ASKED:.0%}")
    return int(summary["gap_recovered"] < ASKED and not options.quick)


def learn(trials: Trials, task: Task, lesson: Lesson, seed: int, quick: bool) -> Figures:
    """Wrong answers of a student after a lesson."""
    full = shorten(dataclasses.replace(STUDENT, augment=VIEWS if lesson.views else None), quick)
    schedule = dataclasses.replace(full, epochs=max(1, round(full.epochs * lesson.length)))
    soft = lesson.kind == SOFT
    settings: Figures = {"task": task.name, "lesson": str(lesson), "seed": seed, "schedule": repr(schedule)}
    if lesson.kind != ALL:
        settings |= {"share": SHARE}
    if soft:
        settings |= {"teacher": repr(TEACHINGS[task.name]), "temperature": TEMPERATURE}

    def measure(work: Path) -> Figures:
        student = perceptron(task, STUDENT_WIDTH, seed)
        train(
            student,
            make_transfer(task, lesson.kind, seed),
            task.validation,
            schedule,
            seed=seed,
            checkpoint=checkpoint_in(work),
            distillation=soften(teach(task, seed, quick), TEMPERATURE, alpha=1.0) if soft else None,
        )
        return errors_of(student, task)

    return trials.run(settings, measure)


def measure_teacher(trials: Trials, task: Task, seed: int, quick: bool) -> Figures:
    """Wrong answers of a seed's teacher."""
    settings = {"task": task.name, "model": "teacher", "seed": seed, "teacher": repr(TEACHINGS[task.name])}
    return trials.run(settings, lambda _: errors_of(teach(task, seed, quick).model, task))


def make_transfer(task: Task, kind: str, seed: int) -> TransferSet:
    """All images, or 3 % of them, repeated until an epoch has as many steps; each repetition is a view of its own."""
    if kind == ALL:
        return TransferSet.of_split(task.train)
    count = len(task.train)
    few = np.random.default_rng(seed).permutation(count)[: round(SHARE * count)]
    again = np.resize(few, count)
    return TransferSet(
        inputs=task.train.images[again], labels=task.train.labels[again] if kind == HARD else None, name=kind
    )


def summarise(errors: Errors, count: int) -> Figures:
    """Mean accuracy of every lesson, what validation chooses of each kind, and what the soft targets recover."""
    mean = {str(lesson): 1 - statistics.mean(f["test_errors"] for f in each) / count for lesson, each in errors.items()}
    chosen = {kind: str(choose([lesson for lesson in errors if lesson.kind == kind], errors)) for kind in PAPER}
    everything, hard, soft = (mean[chosen[kind]] for kind in (ALL, HARD, SOFT))
    return {"accuracy": mean, "chosen": chosen, "gap_recovered": share_of_gap(hard, soft, everything)}


def choose(lessons: Sequence[Lesson], errors: Errors) -> Lesson:
    """The one with the fewest wrong answers on validation, over all seeds."""
    return min(lessons, key=lambda lesson: sum(f["validation_errors"] for f in errors[lesson]))


def percent(figures: Sequence[Figures], task: Task) -> str:
    """Right answers, in per cent, over the seeds."""
    return mean_sd([1 - f["test_errors"] / len(task.test) for f in figures], 2, 100)


if __name__ == "__main__":
    sys.exit(main())
