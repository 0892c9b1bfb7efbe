"""The teachers' answers: asked for once per view, kept, handed out step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from compress.distill.device import Device
from compress.distill.distillation import Distillation
from compress.distill.features import LayerTap
from compress.distill.schedule import Schedule
from compress.distill.teacher_cache import CacheCheck, CacheKey, TeacherCache, to_half
from compress.distill.teachers import ModuleTeacher, combine_logits, unwrapped
from compress.distill.transfer import TransferSet
from compress.errors import ModelError
from compress.tasks.task import Split

Advance = Callable[[int, int, str], None]
"""Called with (epochs done, epochs in all, one line that says how it stands)."""

_ASKED_AGAIN = 16
"""Samples about which a module whose answers are kept is asked again."""

_ROUNDING = 5e-3
"""Of the largest logit, how far a second answer may be away: ten of float16's roundings, as sums differ in order."""


class Answers:
    """The teachers' answers, batch by batch: from the cache, or asked live."""

    def __init__(
        self, distillation: Distillation, transfer: TransferSet, schedule: Schedule, seed: int, device: Device
    ) -> None:
        self._distillation, self._device, self._count = distillation, device, len(transfer)
        self._caches = [
            TeacherCache(distillation.cache / key.digest, key)
            for teacher in distillation.teachers
            for key in [CacheKey.of(teacher, transfer, schedule.augment, seed, device)]
            if distillation.cache
        ]
        self._table: Tensor | None = None
        self._table_view: int | None = None
        first = distillation.teachers[0]
        self._teacher = first if distillation.features and isinstance(first, ModuleTeacher) else None
        paths = [match.teacher_layer for match in distillation.features]
        self._tap = LayerTap(unwrapped(self._teacher.model), paths, "teacher") if self._teacher else None

    def start(self, view: int) -> None:
        """Make ready for a view's batches."""
        if self._caches and not self._tap and view != self._table_view:
            tables = [cache.require(view, self._count).float() for cache in self._caches]
            self._table, self._table_view = self._combine(tables).to(self._device.name), view

    def of(self, inputs: Tensor, index: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Target logits (batch, classes), and the teacher's features of each match."""
        if self._table is not None:
            return self._table[index], ()
        answers = [to_half(teacher.logits(inputs, self._device)).float() for teacher in self._distillation.teachers]
        return self._combine(answers), self._tap.take() if self._tap else ()

    def close(self) -> None:
        """Stop watching the teacher's layers."""
        if self._tap:
            self._tap.close()

    def _combine(self, answers: Sequence[Tensor]) -> Tensor:
        return combine_logits(answers, self._distillation.combine, self._distillation.loss.temperature)


def ask_teachers(
    distillation: Distillation,
    transfer: TransferSet,
    schedule: Schedule,
    *,
    seed: int,
    device: Device,
    advance: Advance | None = None,
) -> int:
    """Fill the cache with all that a training will ask; where it is there, ask a module about a few samples again.

    Returns:
        How many times a teacher went through the whole transfer set; 0 if everything was there, or no cache is kept.

    Raises:
        ModelError: see `TeacherCache.fill`; or the answers that are kept are not this teacher's.
    """
    if distillation.cache is None or not distillation.asks_teachers or distillation.features:
        return 0
    asked = 0
    for number, teacher in enumerate(distillation.teachers, start=1):
        key = CacheKey.of(teacher, transfer, schedule.augment, seed, device)
        cache = TeacherCache(distillation.cache / key.digest, key)
        before = asked
        for done, view in enumerate(views := schedule.all_views(), start=1):
            new = cache.fill(teacher, transfer, schedule.augment, view, device)
            asked += new
            if advance and new:
                advance(0, schedule.epochs, f"asked teacher {number} about view {done} of {len(views)}")
        if asked == before and isinstance(teacher, ModuleTeacher):
            found = cache.check(teacher, transfer, schedule.augment, views[0], _ASKED_AGAIN, device)
            _refuse_other_answers(cache, found)
            if advance:
                far = f"{found.samples} of its answers differ now by at most {found.max_abs_difference:.1e}"
                advance(0, schedule.epochs, f"teacher {number} was asked before; {far}")
    return asked


def answers_about(distillation: Distillation, split: Split, device: Device) -> Tensor:
    """What all teachers together say of a split as it is, (n, classes); asked once where a cache is kept."""
    answers = []
    for teacher in distillation.teachers:
        if distillation.cache and not distillation.features:
            transfer = TransferSet.of_split(split)
            key = CacheKey.of(teacher, transfer, None, 0, device)
            cache = TeacherCache(distillation.cache / key.digest, key)
            cache.fill(teacher, transfer, None, 0, device)
            answers.append(cache.require(0, len(split)).float())
        else:
            batches = torch.from_numpy(split.images).split(500)
            answers.append(torch.cat([teacher.logits(batch, device) for batch in batches]))
    return combine_logits(answers, distillation.combine, distillation.loss.temperature)


def _refuse_other_answers(cache: TeacherCache, found: CacheCheck) -> None:
    if found.max_abs_difference > _ROUNDING * max(1.0, found.max_abs_logit):
        raise ModelError(
            f"{cache.folder}: the teacher now answers up to {found.max_abs_difference:g} away from what is kept"
            f" ({found.changed_classes} of {found.samples} samples change their class); expected the same teacher;"
            " delete this folder"
        )
