"""What can be refused before anything trains: the transfer set, the models, and whether they fit each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from compress.distill import ModuleTeacher, ProbabilityTeacher, TransferSet, choose_device
from compress.distill.distillation import check_distillation
from compress.errors import DataError, ModelError
from compress.quantize import check_calibration, check_exemptions
from compress.recipe import ModelCall, MoreTeacherConfig, NormalizeConfig, TeacherConfig
from compress.stages.context import Run, blame, build_call
from compress.stages.teach import read_distillation
from compress.stages.trained import build_model
from compress.types import CALIBRATED


def read_transfer_set(run: Run) -> TransferSet:
    """What the student learns on: the recipe's own transfer set, or the task's training images.

    Raises:
        DataError: the callable returned something else, or its samples do not fit the task.
    """
    config = run.recipe.student.distill
    if config is None or config.transfer_set is None:
        return TransferSet.of_split(run.task.train)
    call = config.transfer_set
    found = build_call(call, home=run.home)
    if isinstance(found, np.ndarray):
        found = TransferSet(inputs=found, labels=None, name=call.path)
    if not isinstance(found, TransferSet):
        raise DataError(
            f"{call.where}: returned {type(found).__name__}; expected an array of images or a TransferSet; return one"
        )
    if found.inputs.shape[1:] != run.task.input_shape:
        raise DataError(
            f"{call.where}: samples of shape {found.inputs.shape[1:]}; expected {run.task.input_shape} as in task"
            f" {run.task.name}; resize them"
        )
    low, high = float(found.inputs.min()), float(found.inputs.max())
    if low < 0 or high > 1:
        raise DataError(
            f"{call.where}: values reach from {low:g} to {high:g}; expected [0, 1] as in task {run.task.name}; divide"
            " bytes by 255"
        )
    for split in (run.task.test, run.task.validation):
        held_out = {image.tobytes() for image in split.images}
        if shared := sum(image.tobytes() in held_out for image in found.inputs):
            raise DataError(
                f"{call.where}: {shared} of {len(found)} images are in the {split.name} split of task {run.task.name};"
                f" expected none, or the {split.name} score proves nothing; remove them"
            )
    return found


def check_calibration_split(run: Run) -> None:
    """Refuse what would calibrate nothing, and say what would calibrate badly, if a scheme of the recipe calibrates.

    A task has refused already what is empty, not finite, outside [0, 1], or in the test split too.

    Raises:
        DataError: its images are all the same.
    """
    if not any(entry.scheme in CALIBRATED or entry.chooses for entry in run.recipe.quantize):
        return
    split = run.task.calibration
    images = torch.from_numpy(split.images)
    try:
        check_calibration(images, images[:1])
    except DataError as error:
        raise DataError(f"task {run.task.name}, split {split.name}: {error}") from error
    present = np.unique(split.labels)
    if len(present) == 1 < len(run.task.classes):
        run.progress.note(
            f"task {run.task.name}, split {split.name}: all {len(split):,} images are of class"
            f" {run.task.classes[int(present[0])]}: int8 is made for its activations alone. Put all classes in."
        )


def note_small_test(run: Run) -> tuple[str, ...]:
    """One sentence for each number of test images that the recipe asks for and the task does not have.

    All that there are take their place; a limit that was meant for more is then judged on fewer.
    """
    arm64, have = run.recipe.benchmark.arm64, len(run.task.test)
    asked = {"verify.images": run.recipe.verify.images}
    if arm64 is not None:
        asked |= {"benchmark.arm64.images": arm64.images, "benchmark.arm64.float_images": arm64.float_images}
    for index, device in enumerate(run.recipe.benchmark.devices or ()):
        if device.ssh is not None:
            asked[f"benchmark.devices[{index}].images"] = device.images
    return tuple(
        f"{key} asks for {wanted:,} images, and the test split of task {run.task.name} has {have:,}: those are used."
        for key, wanted in asked.items()
        if wanted > have
    )


def check_plan(run: Run, transfer: TransferSet, callables: tuple[ProbabilityTeacher, ...]) -> None:
    """Refuse a student that could not learn from its teachers, before the teachers are trained.

    Raises:
        DataError, ModelError: see `check_distillation`; also what a model's callable raises.
    """
    config = run.recipe.student.distill
    student = _try_model(run, run.recipe.student.model, run.recipe.student.normalize)
    _check_exemptions(run, student)
    configs: tuple[TeacherConfig | MoreTeacherConfig, ...] = run.recipe.more_teachers
    if run.recipe.teacher:
        configs = (run.recipe.teacher, *configs)
    untrained = tuple(
        ModuleTeacher(model=_try_model(run, each.model, each.normalize)) for each in configs if each.model
    )
    if config is None:
        check_distillation(student, transfer, None, choose_device())
        return
    whole = read_distillation(config, (*untrained, *callables), None)
    taught_by = [untrained]
    if config.generations > 1:
        earlier = ModuleTeacher(model=build_model(run, run.recipe.student.model))
        taught_by.append((earlier,) * (config.generations - 1 if config.generation_teachers == "all" else 1))
    for teachers in taught_by:  # the callables have been tried: they are asked once, ever
        check_distillation(student, transfer, dataclasses.replace(whole, teachers=teachers), choose_device())


def _check_exemptions(run: Run, student: nn.Module) -> None:
    for index, entry in enumerate(run.recipe.quantize):
        if entry.exempt:
            try:
                check_exemptions(student, torch.from_numpy(run.task.calibration.images[:1]), entry.exempt)
            except ModelError as error:
                raise ModelError(f"{run.recipe.where('quantize', index)}: {error}") from error


def _try_model(run: Run, call: ModelCall, normalize: NormalizeConfig | None = None) -> nn.Module:
    """The untrained model, which has been shown two images."""
    model = build_model(run, call, normalize)
    wanted = (2, len(run.task.classes))
    what = f"the model, on images of shape {run.task.input_shape},"
    images = torch.from_numpy(run.task.calibration.images[[0, 0]])
    with blame(call, what=what, expected=f"logits {wanted} of two images"), torch.no_grad():
        answer = model.eval()(images)
    if not isinstance(answer, Tensor) or answer.shape != wanted:
        got = f"shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
        raise ModelError(
            f"{call.where}: the model gave {got} for two images; expected logits {wanted}, one for each class of task"
            f" {run.task.name}; give the model an argument `classes`, which is supplied, or correct it"
        )
    if not bool(torch.isfinite(answer).all()):
        raise ModelError(
            f"{call.where}: the untrained model gave NaN or infinity, first at {_find_bad(model, images)}; expected"
            " finite logits of two images; check how its weights are made"
        )
    return model


def _find_bad(model: nn.Module, images: Tensor) -> str:
    """The first weight that is not finite, else the first module whose output is not."""
    for name, value in model.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            return f"weight {name}"
    found: list[str] = []

    def look(name: str, output: object) -> None:
        if isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
            found.append(name)

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: look(name, output))
        for name, module in model.named_modules()
    ]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return next(iter(found), "") or "its own forward"
