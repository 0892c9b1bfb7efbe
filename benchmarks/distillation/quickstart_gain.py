"""What the teacher is worth to the quickstart's student: taught, against alone for as long, over seeds.

Networks, schedules and loss are read from pipelines/quickstart.yaml. The student alone sees new views in every epoch,
for nobody is spared a question, and trains MORE_EPOCHS longer, which is more time than asking the teacher about its
views takes (both times are shown; the teacher's own training is not counted, it is there anyway). The claim: the taught
student is better, and the 95 % interval of the mean difference over the seeds (Student's t) lies above zero. About 55
minutes on two cores without bf16.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
import time
from pathlib import Path

import torch
from scipy.stats import t
from torch import nn
from trials import Figures, Options, Trials, gap_recovered, mean_sd, print_table, read_options

from compress.distill import (
    Distillation,
    ModuleTeacher,
    Schedule,
    SoftTargets,
    TransferSet,
    choose_device,
    logits_of,
    train,
)
from compress.home import default_home
from compress.recipe import ModelCall, Recipe, load_recipe
from compress.stages.train import read_schedule
from compress.tasks import Task
from compress.tasks.fashion_mnist import fashion_mnist

RECIPE = Path(__file__).parents[2] / "pipelines" / "quickstart.yaml"
MORE_EPOCHS = 2


def main() -> int:
    """Print the table; 1 if the taught student is not clearly better, or had more time."""
    options = read_options(__doc__ or "", "quickstart_gain")
    trials = Trials("quickstart_gain", options)
    lesson = _Lesson(options)
    runs = [trials.run(lesson.settings(seed), lambda work, seed=seed: lesson.run(work, seed)) for seed in options.seeds]
    differences = [run["taught"] - run["alone"] for run in runs]
    interval = _interval(differences)
    rows = [("teacher", mean_sd([run["teacher"] for run in runs], scale=100), "")]
    for name in ("alone", "taught"):
        accuracy, seconds = ([run[key] for run in runs] for key in (name, f"{name}_seconds"))
        rows.append((f"student, {name}", mean_sd(accuracy, scale=100), mean_sd(seconds, 0)))
    rows.append(("taught - alone", mean_sd(differences, scale=100), ""))
    title = f"Quickstart's student on the test images, {len(runs)} seeds, last epoch"
    print_table(title, ("", "accuracy, %", "seconds"), rows)
    gap = gap_recovered(*(statistics.mean(run[name] for run in runs) for name in ("alone", "taught", "teacher")))
    ends = f"{interval[0] * 100:.2f} to {interval[1] * 100:.2f} points" if interval else "none, of one seed"
    print(f"95 % interval of the mean difference: {ends}; gap recovered: {gap:.2f}")
    trials.write({"differences": differences, "interval": interval, "gap_recovered": gap})
    longer = all(run["alone_seconds"] >= run["taught_seconds"] for run in runs)
    return 0 if options.quick or (interval and interval[0] > 0 and longer) else 1


class _Lesson:
    def __init__(self, options: Options) -> None:
        few = {"train": 640, "test": 200} if options.quick else {}
        self._task: Task = fashion_mnist(home=default_home(), **few)
        self._recipe: Recipe = load_recipe(RECIPE)
        train_configs = (self._recipe.teacher.train, self._recipe.student.train)
        schedules = [read_schedule(config) for config in train_configs if config]
        if options.quick:
            schedules = [dataclasses.replace(schedule, epochs=1) for schedule in schedules]
        self._teacher, self._student = schedules

    def settings(self, seed: int) -> Figures:
        """What the figures depend on: the recipe's own words."""
        config = self._recipe.model_dump(mode="json", include={"teacher", "student"})
        return {"seed": seed, "more_epochs": MORE_EPOCHS, **config}

    def run(self, work: Path, seed: int) -> Figures:
        """Teacher, student alone, student taught."""
        distill = self._recipe.student.distill
        assert distill is not None
        longer = dataclasses.replace(self._student, epochs=self._student.epochs + MORE_EPOCHS, views=0)
        teacher, teacher_accuracy, _ = self._learn(work / "teacher", self._recipe.teacher.model, self._teacher, seed)
        _, alone, alone_seconds = self._learn(work / "alone", self._recipe.student.model, longer, seed)
        lesson = Distillation(
            teachers=(ModuleTeacher(model=teacher),),
            loss=distill.loss.build() if distill.loss else SoftTargets(temperature=distill.temperature or 1.0),
            alpha=distill.alpha,
            cache=work / "answers",
        )
        _, taught, taught_seconds = self._learn(
            work / "taught", self._recipe.student.model, self._student, seed, lesson
        )
        return {
            "teacher": teacher_accuracy,
            "alone": alone,
            "taught": taught,
            "alone_seconds": alone_seconds,
            "taught_seconds": taught_seconds,
        }

    def _learn(
        self, file: Path, call: ModelCall, schedule: Schedule, seed: int, lesson: Distillation | None = None
    ) -> tuple[nn.Module, float, float]:
        torch.manual_seed(seed)
        model = call.build(in_channels=self._task.input_shape[0], classes=len(self._task.classes))
        started = time.perf_counter()
        transfer = TransferSet.of_split(self._task.train)
        train(model, transfer, self._task.validation, schedule, seed=seed, checkpoint=file, distillation=lesson)
        seconds = time.perf_counter() - started
        test = self._task.test
        classes = logits_of(model, torch.from_numpy(test.images), choose_device()).argmax(1).cpu()
        return model, float((classes == torch.from_numpy(test.labels)).float().mean()), seconds


def _interval(differences: list[float]) -> tuple[float, float] | None:
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return None
    half = float(t.ppf(0.975, len(differences) - 1)) * statistics.stdev(differences) / math.sqrt(len(differences))
    return mean - half, mean + half


if __name__ == "__main__":
    sys.exit(main())
