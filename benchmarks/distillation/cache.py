"""The cache of a teacher's answers: the same student, at the price of training without a teacher; and kill -9.

What is said of such caches elsewhere: FKD (Shen & Xing 2022), with several crops of one image per load, is 16 % faster
than training on labels; TinyViT (Wu et al. 2022) stores 16 GB for 300 epochs of ImageNet. Others store one answer per
image whatever the view, which costs 1.2 to 3 points (Beyer et al. 2021).

Here, with a residual CNN of 300,000 parameters as the teacher of a mobile CNN of 5,000, both on Fashion-MNIST:

- The same training with the teacher asked live and from the cache. Both round its answers to float16. A live batch and
  a cached one have other sizes, so their sums may round to neighbouring halves; nothing else differs. Claim: for a
  student without kinks, the logits of the test images differ by no more than the rounding of the largest of them to
  float16. ReLU6 is shown beside it: there a difference of 1e-8 may put a unit on the other side of a kink. Both in
  float32: a student that rounds to bf16 has a kink at every value.
- Seconds of an epoch: on labels, with the live teacher, with the cache; each repetition trains all three in turn, all
  epochs but the first count. Every epoch shows other views, and so reads other answers. Only ratios within a repetition
  are compared. Claim: with a teacher of at least 5 times the student's cost the median cached epoch takes at most 1.15
  times the plain one. The first pass, which asks the teacher, is shown apart.
- A training with a cached teacher is killed (SIGKILL, by itself, in the middle of a step), and continued, at random
  steps. Claim: weights bit-identical to those of an unbroken one.

Takes about 12 minutes on 2 cores without bf16, which should do nothing else; --quick about 12 seconds.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from trials import Figures, Options, Trials, print_table, read_options

from compress.distill import (
    Distillation,
    Schedule,
    TransferSet,
    ask_teachers,
    choose_device,
    logits_of,
    train,
)
from compress.tasks import Task

sys.path.append(str(Path(__file__).parents[1]))
from images import (
    FLIP,
    TEACHER,
    build,
    large_residual,
    load_task,
    logits,
    obtain,
    shorten,
    small_mobile,
    smooth_mobile,
    taught_by,
)

ALLOWED = 1.15
"""Times the seconds of a plain epoch."""
COST = 5.0
"""Times the student's: the least that the teacher must cost for the ratio to say something."""
REPEATS, KILLS = 7, 5
SCHEDULE = Schedule(epochs=3, batch_size=128, learning_rate=0.1, augment=FLIP)
EXACT = dataclasses.replace(SCHEDULE, precision="float32")
TAUGHT = dataclasses.replace(TEACHER, epochs=3)
STUDENTS = {"without kinks (SiLU)": smooth_mobile, "ReLU6": small_mobile}


def main() -> int:
    """Measure, print, write; 0 if the claims hold."""
    options = read_options(__doc__ or "", "cache")
    trials = Trials("cache", options)
    task = load_task(options.quick)
    teacher = obtain(large_residual, task, shorten(TAUGHT, options.quick), seed=0)
    equality = [measure_equality(trials, task, teacher, name, seed) for name in STUDENTS for seed in options.seeds]
    seconds = measure_seconds(trials, task, teacher, 1 if options.quick else REPEATS)
    kills = [measure_kill(trials, task, number, options.quick) for number in range(1 if options.quick else KILLS)]
    print_equality(equality)
    print_seconds(seconds)
    identical = sum(kill["identical"] for kill in kills)
    steps = ", ".join(str(kill["step"]) for kill in kills)
    print(f"\n{identical} of {len(kills)} killed trainings (step {steps}) ended bit-identical to unbroken ones")
    trials.write({"equality": equality, "seconds": seconds, "kills": kills})
    return judge(equality, seconds, identical == len(kills), options)


def teach(
    student: nn.Module,
    task: Task,
    checkpoint: Path,
    distillation: Distillation | None,
    seed: int = 0,
    schedule: Schedule = SCHEDULE,
) -> list[float]:
    """Train a student; the clock at the end of each epoch."""
    ends: list[float] = []
    transfer = TransferSet.of_split(task.train)
    train(
        student,
        transfer,
        task.validation,
        schedule,
        seed=seed,
        checkpoint=checkpoint,
        distillation=distillation,
        advance=lambda done, *_: ends.append(time.perf_counter()) if done else None,
    )
    return ends


def measure_equality(trials: Trials, task: Task, teacher: nn.Module, name: str, seed: int) -> Figures:
    """How far the test logits of a student that asked live and of one that read the cache are apart."""

    def measure(work: Path) -> Figures:
        answers = []
        for cache in (None, work / "answers"):
            student = build(STUDENTS[name], seed)
            lesson = Distillation(teachers=taught_by(teacher), cache=cache)
            teach(student, task, work / f"{'cached' if cache else 'live'}.pt", lesson, seed, EXACT)
            answers.append(logits(student, task.test))
        live, cached = answers
        return {
            "max_abs_difference": float((live - cached).abs().max()),
            "rounding": float(live.abs().max()) * torch.finfo(torch.float16).eps / 2,
            "changed_classes": int((live.argmax(1) != cached.argmax(1)).sum()),
            "test_images": len(task.test),
        }

    settings = {"part": "equality", "student": name, "seed": seed, "task": task.name}
    return {"student": name, **trials.run(settings, measure)}


def measure_seconds(trials: Trials, task: Task, teacher: nn.Module, repeats: int) -> Figures:
    """Seconds of epochs, a list of `repeats` for each way to train; and what the teacher costs."""

    def measure(work: Path) -> Figures:
        cached = Distillation(teachers=taught_by(teacher), cache=work / "answers")
        ways = {"plain": None, "live": dataclasses.replace(cached, cache=None), "cached": cached}
        started = time.perf_counter()
        transfer = TransferSet.of_split(task.train)
        ask_teachers(cached, transfer, SCHEDULE, seed=0, device=choose_device())
        first_pass = time.perf_counter() - started
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for repeat in range(repeats):
            turn = repeat % len(ways)
            for way in [*ways, *ways][turn : turn + len(ways)]:
                with tempfile.TemporaryDirectory(dir=work) as folder:
                    ends = teach(build(small_mobile, 0), task, Path(folder) / "c.pt", ways[way])
                seconds[way] += [after - before for before, after in pairwise(ends)]
        costs = [inference_seconds(model, task) for model in (teacher, build(small_mobile, 0))]
        return {**seconds, "first_pass": first_pass, "teacher_cost": costs[0] / costs[1]}

    return trials.run({"part": "seconds", "task": task.name, "repeats": repeats}, measure)


def inference_seconds(model: nn.Module, task: Task) -> float:
    """The median of five passes over some images."""
    images, times = torch.from_numpy(task.train.images[:1000]), []
    for _ in range(6):
        started = time.perf_counter()
        logits_of(model, images, choose_device())
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def measure_kill(trials: Trials, task: Task, number: int, quick: bool) -> Figures:
    """Whether a training that was killed at a random step and continued ends in the weights of an unbroken one."""
    steps = SCHEDULE.epochs * (len(task.train) // SCHEDULE.batch_size)
    step = random.Random(number).randrange(2, steps + 1)

    def measure(work: Path) -> Figures:
        with tempfile.TemporaryDirectory(dir=work) as folder:
            whole, cut = Path(folder) / "whole", Path(folder) / "cut"
            train_and_die(whole, number, 0, quick)
            arguments = (cut, number, step, quick)
            process = multiprocessing.get_context("spawn").Process(target=train_and_die, args=arguments)
            process.start()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            train_and_die(cut, number, 0, quick)
            one, other = (torch.load(path.with_suffix(".weights"), weights_only=True) for path in (whole, cut))
        return {"step": step, "identical": all(torch.equal(one[name], other[name]) for name in one)}

    return trials.run({"part": "kill", "task": task.name, "number": number}, measure)


def train_and_die(path: Path, seed: int, kill_at: int, quick: bool) -> None:
    """Train a student with a cached teacher, or go on, and save its weights; the step `kill_at` ends the process."""
    task = load_task(quick)
    student, passes = build(small_mobile, seed), 0

    def count(module: nn.Module, _: object) -> None:
        nonlocal passes
        passes += module.training
        if passes == kill_at and module.training:
            os.kill(os.getpid(), signal.SIGKILL)

    student.register_forward_pre_hook(count)
    teacher = obtain(large_residual, task, shorten(TAUGHT, quick), seed=0)
    lesson = Distillation(teachers=taught_by(teacher), cache=path.parent / "answers")
    train(
        student,
        TransferSet.of_split(task.train),
        task.validation,
        SCHEDULE,
        seed=seed,
        checkpoint=path.with_suffix(".pt"),
        distillation=lesson,
        checkpoint_seconds=0.0 if quick else 1.0,
    )
    weights: dict[str, Tensor] = student.state_dict()
    torch.save(weights, path.with_suffix(".weights"))


def print_equality(equality: list[Figures]) -> None:
    """The students of the live and of the cached teacher side by side."""
    print_table(
        "Test logits after live and after cached training",
        ["student", "largest difference", "float16 rounding of the largest", "other class"],
        [
            [
                each["student"],
                f"{each['max_abs_difference']:.1e}",
                f"{each['rounding']:.1e}",
                f"{each['changed_classes']} of {each['test_images']}",
            ]
            for each in equality
        ],
    )


def print_seconds(seconds: Figures) -> None:
    """Ratios to a plain epoch."""
    rows = []
    for way in ("live", "cached"):
        ratios = ratios_of(seconds, way)
        rows.append([f"{way} teacher", *(f"{f(ratios):.3f}" for f in (statistics.median, min, max))])
    plain = statistics.median(seconds["plain"])
    rows.append(["first pass, once", f"{seconds['first_pass'] / plain:.3f}", "", ""])
    title = f"Seconds of an epoch as multiples of a plain one; the teacher costs {seconds['teacher_cost']:.1f} students"
    print_table(title, ["", "median", "least", "most"], rows)


def ratios_of(seconds: Figures, way: str) -> list[float]:
    """One for each repetition."""
    return [one / plain for one, plain in zip(seconds[way], seconds["plain"], strict=True)]


def judge(equality: list[Figures], seconds: Figures, identical: bool, options: Options) -> int:
    """1 if a claim falls short and the figures mean something."""
    short = []
    smooth = [each for each in equality if each["student"] != "ReLU6"]
    if any(each["max_abs_difference"] > each["rounding"] for each in smooth):
        short.append("live and cached students differ by more than float16 rounding")
    if seconds["teacher_cost"] < COST:
        short.append(f"the teacher costs {seconds['teacher_cost']:.1f} students; expected at least {COST:g}")
    if statistics.median(ratios_of(seconds, "cached")) > ALLOWED:
        short.append(f"a cached epoch takes more than {ALLOWED} plain ones")
    if not identical:
        short.append("a killed training ended in other weights")
    for line in short:
        print(f"falls short: {line}")
    return int(bool(short) and not options.quick)


if __name__ == "__main__":
    sys.exit(main())
