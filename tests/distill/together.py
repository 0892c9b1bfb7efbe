"""What each of several processes does in the tests of `world`: `python together.py FOLDER JOB [ARGUMENT ...]`."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from learning import SCHEDULE, build, taught_by
from torch import Tensor, nn

from compress.distill import (
    DIST,
    Distillation,
    FeatureMatch,
    RelationalDistance,
    Schedule,
    TransferSet,
    World,
    open_world,
    train,
    world,
)
from compress.distill.batch_norms import global_batch_norms
from compress.distill.trainee import Trainee
from compress.errors import CompressError
from compress.tasks.digits import digits

RELATION = FeatureMatch(student_layer="pool", teacher_layer="pool", loss=RelationalDistance(weight=1.0))

WHOLE = dataclasses.replace(SCHEDULE, epochs=2)
"""For what is interrupted; one epoch of digits has 17 steps."""

NO_AUGMENT = dataclasses.replace(SCHEDULE, epochs=1, augment=None, precision="float32")
"""For what must end in the same weights: rounding to bf16 turns a last bit of float32 into one of 8."""

BATCH = torch.Generator().manual_seed(1)
IMAGES, ROWS, SERIES = (torch.randn(8, 3, *size, generator=BATCH) + 2 for size in ((5, 4), (), (6,)))

NORMS: dict[str, tuple[nn.Module, Tensor]] = {
    "2-d": (nn.BatchNorm2d(3), IMAGES),
    "2-d, plain average of the statistics": (nn.BatchNorm2d(3, momentum=None), IMAGES),
    "2-d, not affine": (nn.BatchNorm2d(3, affine=False), IMAGES),
    "2-d, no statistics kept": (nn.BatchNorm2d(3, track_running_stats=False), IMAGES),
    "1-d, rows": (nn.BatchNorm1d(3), ROWS),
    "1-d, series": (nn.BatchNorm1d(3), SERIES),
}


class Rows(nn.Module):
    """Batch norm of rows, and a layer that nothing asks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.asked = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.SiLU(), nn.Linear(32, 10))
        self.unasked = nn.Linear(64, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.asked(inputs)


def smooth() -> nn.Module:
    """The network without kinks: sums in another order put some unit on the other side of one, and that is a step."""
    model = build()
    for block in model.modules():
        for name, layer in block.named_children():
            if isinstance(layer, nn.ReLU6):
                setattr(block, name, nn.SiLU())
    return model


def lesson(name: str, folder: Path) -> tuple[nn.Module, Schedule, Distillation | None]:
    """Model, schedule and distillation of one training."""
    return {
        "labels": (smooth(), NO_AUGMENT, None),
        "teacher": (smooth(), NO_AUGMENT, taught_by(build(7), cache=folder / "answers")),
        "rows": (Rows(), NO_AUGMENT, None),
        "preferences": (smooth(), NO_AUGMENT, dataclasses.replace(taught_by(build(7)), loss=DIST(), alpha=0.5)),
        "relations": (smooth(), NO_AUGMENT, dataclasses.replace(taught_by(build(7)), features=(RELATION,))),
        "whole": (build(), WHOLE, None),
    }[name]


def teach(name: str, folder: Path, one: World, pause: float = 0.0) -> nn.Module:
    """Train and return the model; the leader pauses after the first epoch, for its own work."""
    task = digits()
    model, schedule, distillation = lesson(name, folder)
    train(
        model,
        TransferSet.of_split(task.train),
        task.validation,
        schedule,
        seed=0,
        checkpoint=folder / f"{name}-{one.size}.pt",
        distillation=distillation,
        world=one,
        advance=lambda done, _epochs, _line: time.sleep(pause if done == 1 else 0),
        checkpoint_seconds=0.0,
    )
    return model


def joined(norm: nn.Module, batch: Tensor, gradient: Tensor) -> list[Tensor]:
    """What a batch norm does in two steps: output, gradients of input and weights, statistics, output afterwards."""
    for _ in range(2):
        batch = batch.detach().requires_grad_()
        norm.zero_grad()
        out = norm.train()(batch)
        (out * gradient).sum().backward()
    found = [out.detach(), batch.grad, *(each.grad for each in norm.parameters()), *norm.buffers()]
    return [*found, norm.eval()(batch).detach()] if norm.track_running_stats else found


def check_norms(folder: Path, one: World) -> None:
    """Each process norms its share; the leader writes the largest difference from the whole batch's."""
    differences = {}
    for name, (norm, batch) in NORMS.items():
        gradient = torch.randn(batch.shape, generator=torch.Generator().manual_seed(2))
        expected = joined(norm, batch, gradient)
        norm.load_state_dict(
            type(norm)(3, affine=norm.affine, track_running_stats=norm.track_running_stats).state_dict()
        )
        with global_batch_norms(norm, one):
            found = joined(norm, one.share(batch), one.share(gradient))
        parts = [one.gather(each) if each.ndim and each.shape[0] == 4 else each for each in found]
        for parameter in range(2, 2 + len(list(norm.parameters()))):
            parts[parameter] = one.mean(parts[parameter]) * one.size
        differences[name] = max(float((a - b).abs().max()) for a, b in zip(parts, expected, strict=True))
    if one.leads:
        (folder / "norms.json").write_text(json.dumps(differences))


def check_gather(folder: Path, one: World) -> None:
    """A loss between all pairs of a batch: its gradient, averaged over the processes, and that of one process."""

    def gradient_of(weight: Tensor, features: Tensor) -> Tensor:
        loss = torch.cdist(features, features).add(1).log().sum()
        return torch.autograd.grad(loss, weight)[0]

    weight = torch.ones(3, requires_grad=True)
    expected = gradient_of(weight, ROWS * weight)
    found = one.mean(gradient_of(weight, one.gather(one.share(ROWS) * weight)))
    if one.leads:
        (folder / "gathers.json").write_text(json.dumps(float((found - expected).norm() / expected.norm())))


def interrupt(rank: int, at_step: int, number: int) -> None:
    """Let this process send itself a signal after a step."""
    learn = Trainee.learn

    def learn_and_stop(self: Trainee, loss: Tensor) -> None:
        learn(self, loss)
        if self.step == at_step and int(os.environ["RANK"]) == rank:
            os.kill(os.getpid(), number)

    Trainee.learn = learn_and_stop  # type: ignore[method-assign]


def main(folder: Path, job: str, arguments: list[str]) -> None:
    """Join the others and do the job."""
    world.PATIENCE = timedelta(seconds=3)
    if job == "interrupted":
        interrupt(*map(int, arguments))
    if job == "check" and os.environ["RANK"] == "1":
        time.sleep(4)  # it comes late
    with open_world("cpu") as one:
        names = ["whole"]
        if job == "check":
            check_norms(folder, one)
            check_gather(folder, one)
            names += ["labels", "teacher", "rows", "preferences", "relations"]
        for name in names:
            model = teach(name, folder, one, pause=4.0 if job == "check" and name == "whole" else 0.0)
            if one.leads:
                torch.save(model.state_dict(), folder / f"{name}.weights")


if __name__ == "__main__":
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun would end the survivor before it can speak
    try:
        main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    except CompressError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
