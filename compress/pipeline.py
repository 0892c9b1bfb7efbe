"""The run, top to bottom: teacher, student, quantised graphs, artifacts, measurements, verdict.

Read `execute` first; it is the diagram in the README. Each line is a stage that the store can skip.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from compress.distill import TransferSet, choose_device, open_world
from compress.errors import DataError, ToolError
from compress.gate import judge
from compress.progress import Progress
from compress.quantize import Float32
from compress.recipe import QuantizeConfig, Recipe
from compress.run_folder import check_folder, write_run
from compress.stages.choose import Choice, Settled, choose_scheme, settle
from compress.stages.compatibility import try_tflite_runtime
from compress.stages.context import Run, build_call
from compress.stages.devices import measure_on_devices
from compress.stages.emulate import Emulated, FailedOnCore, emulate, find_runtimes
from compress.stages.evaluate import host_outputs, time_on_host
from compress.stages.exemptions import price_exemptions
from compress.stages.export import Exported, export_model, weights_artifact
from compress.stages.measurements import measure
from compress.stages.over_adb import check_tools
from compress.stages.plan import check_calibration_split, check_plan, note_small_test, read_transfer_set
from compress.stages.predict import predict_latencies
from compress.stages.provenance import provenance
from compress.stages.schemes import read_scheme
from compress.stages.sensitivity import measure_layers
from compress.stages.teach import (
    Teachers,
    make_lesson,
    measure_teachers,
    obtain_callables,
    obtain_teachers,
    read_student,
    tune_student,
)
from compress.stages.train import classify_test, train_alone, train_model
from compress.stages.trained import Trained
from compress.stages.tune import Tuned
from compress.stages.variants import derive_variants, note_unmade
from compress.store import Store, folder_lock
from compress.tasks import Task
from compress.types import Measurement, Results


def execute(recipe: Recipe, folder: Path, home: Path, progress: Progress) -> Results:
    """Run a recipe and write its folder.

    Args:
        recipe: a checked recipe.
        folder: gets models, results, reports and manifest.
        home: where the store, the data and the ARM64 runtimes are kept.
        progress: shows the stages.

    Raises:
        CompressError: any of its kinds; nothing half-written is left under a final name.
    """
    check_folder(folder)
    with folder_lock(folder):
        run = _prepare(recipe, home, progress)
        with open_world(choose_device().name) as world:
            trained, tuned, choice = _train(dataclasses.replace(run, world=world))
        settled = settle(run.recipe.quantize, tuned, choice)
        sensitivity = measure_layers(run, trained[1], [each.config for each in settled])
        exported = _export(run, trained, settled)
        measurements, notes = _measure(run, trained, exported)
        artifacts = (*(each.artifact for each in exported), *(weights_artifact(each) for each in trained))
        results = Results(
            name=recipe.name,
            artifacts=artifacts,
            measurements=measurements,
            verdicts=judge(recipe.budgets, artifacts, measurements),
            audits={each.artifact.sha256: each.audit for each in exported},
            provenance=provenance(run, trained, exported, sensitivity, choice.record if choice else None),
            notes=(*note_small_test(run), *(choice.notes if choice else ()), *note_unmade(run, exported), *notes),
        )
        write_run(folder, results, _list_models(trained, exported))
    return results


def follow(recipe: Recipe, home: Path, progress: Progress) -> None:
    """Take part in the trainings of a run that another process leads; torchrun started both.

    Args:
        recipe: the leader's.
        home: the leader's; on several machines a folder that they share.
        progress: shows nothing, if it is a quiet one.

    Raises:
        CompressError: as `execute`.
    """
    run = _prepare(recipe, home, progress)
    with open_world(choose_device().name) as world:
        _train(dataclasses.replace(run, world=world))


def _prepare(recipe: Recipe, home: Path, progress: Progress) -> Run:
    if not recipe.budgets:
        progress.note(f"{recipe.path}: sets no budgets; the run will end without a verdict, with exit code 5; add one")
    with progress.stage("load the data") as stage:
        task = build_call(recipe.task, home=home)
        if not isinstance(task, Task):
            raise DataError(
                f"{recipe.task.where}: returned {type(task).__name__}; expected a compress.tasks.Task; return one"
            )
        stage.summary = f"{task.name}: " + ", ".join(f"{split.name} {len(split):,}" for split in task.splits())
    return Run(recipe=recipe, task=task, store=Store(home / "store", progress.note), home=home, progress=progress)


def _train(run: Run) -> tuple[tuple[Trained, ...], tuple[Tuned, ...], Choice | None]:
    """The teacher, the student, and whatever else was trained; the student trained on for int8; what `auto` chose."""
    config = run.recipe.student
    check_tools(run)
    transfer = read_transfer_set(run)
    check_calibration_split(run)
    callables = obtain_callables(run)
    check_plan(run, transfer, callables)
    given = read_student(run)
    teachers = obtain_teachers(run, callables, given)
    measure_teachers(run, teachers)
    *earlier, student = (given,) if given else _generations(run, teachers, transfer)
    alone = [train_alone(run)] if config.compare_alone else []
    first, *more = teachers.trained
    entries = run.recipe.quantize
    tuned = tuple(
        tune_student(run, student, entry, teachers, transfer) for entry in entries if entry.train and not entry.chooses
    )
    chosen = (_choose(run, entry, student, teachers, transfer) for entry in entries if entry.chooses)
    return (first, student, *alone, *more, *earlier), tuned, next(chosen, None)


def _choose(run: Run, entry: QuantizeConfig, student: Trained, teachers: Teachers, transfer: TransferSet) -> Choice:
    """A scheme for the student; if only training for int8 could still better it, after that."""
    choice = choose_scheme(run, entry, teachers.trained[0], student)
    if not choice.trains:
        return choice
    tuned = tune_student(run, student, entry, teachers, transfer)
    return choose_scheme(run, entry, teachers.trained[0], student, tuned)


def _generations(run: Run, teachers: Teachers, transfer: TransferSet) -> tuple[Trained, ...]:
    """The student, and before it the generations that taught it."""
    config = run.recipe.student
    assert config.train is not None  # the recipe's rules
    if config.distill is None:
        return (train_model(run, "student", config.model, config.train),)
    trained: list[Trained] = []
    last = config.distill.generations - 1
    for generation in range(config.distill.generations):
        taught_by = trained if config.distill.generation_teachers == "all" else trained[-1:]
        lesson = make_lesson(
            run, config.distill, taught_by or teachers.trained, () if taught_by else teachers.callables
        )
        role = "student" if generation == last else f"student_generation_{generation + 1}"
        trained.append(
            train_model(run, role, config.model, config.train, lesson=lesson, transfer=transfer, generation=generation)
        )
    return tuple(trained)


def _export(run: Run, trained: tuple[Trained, ...], settled: tuple[Settled, ...]) -> tuple[Exported, ...]:
    teacher, student, *_ = trained
    images = min(run.recipe.verify.images, len(run.task.test))
    exported = export_model(run, teacher, Float32(), images)
    for each in settled:
        scheme = read_scheme(each.config)
        files = export_model(run, student, scheme, images, each.tuned, each.entry.scheme)
        exported += price_exemptions(run, student, scheme, files)
    return (*exported, *derive_variants(run, exported))


def _measure(
    run: Run, trained: tuple[Trained, ...], exported: tuple[Exported, ...]
) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    """What was found out about every file, and what a reader must know of the rest."""
    outputs = {each.artifact.sha256: host_outputs(run, each, run.task.test) for each in exported}
    emulated, failed, core_notes = _emulate(run, exported)
    predicted, phone_notes = predict_latencies(run, exported)
    devices, device_notes = measure_on_devices(run, exported)
    tried, untried = try_tflite_runtime(run, exported)
    latencies = time_on_host(run, exported)
    classes = {each.sha256: classify_test(run, each) for each in trained}
    measured = measure(run, trained, exported, outputs, classes, emulated, failed, devices, tried, latencies)
    return (*measured, *predicted), (*core_notes, *phone_notes, *device_notes, *untried)


def _emulate(
    run: Run, exported: tuple[Exported, ...]
) -> tuple[tuple[Emulated, ...], tuple[FailedOnCore, ...], tuple[str, ...]]:
    """What ran on emulated cores, what did not, and what a reader must know of it."""
    config = run.recipe.benchmark.arm64
    if config is None:
        return (), (), ()
    try:
        find_runtimes(run)
        emulated, failed = emulate(run, config, exported)
        for each in failed:
            run.progress.note(each.line)
        return emulated, failed, tuple(each.line for each in failed)
    except ToolError as error:
        note = f"ARM64 was not measured: {error}. Its budgets are MISSING; the host's measurements are complete."
        run.progress.note(note)
        return (), (), (note,)


def _list_models(trained: tuple[Trained, ...], exported: tuple[Exported, ...]) -> dict[str, Path]:
    """Path in the run's folder -> the file in the store."""
    models = {each.artifact.path: each.file for each in exported}
    models |= {path: file for each in exported for path, file in each.beside.items()}
    return models | {weights_artifact(each).path: each.path for each in trained}
