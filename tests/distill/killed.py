"""A training that kills itself: `python killed.py CHECKPOINT STEP WITH_TEACHER EMA`; step 0 never comes.

The weights are left beside the checkpoint.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

import torch
from learning import SCHEDULE, build, taught_by
from torch import Tensor

from compress.distill import TransferSet, train
from compress.distill.trainee import Trainee
from compress.tasks.digits import digits


def main(checkpoint: Path, kill_at: int, with_teacher: bool, ema: float) -> None:
    """Train, or go on."""
    learn = Trainee.learn

    def learn_and_die(self: Trainee, loss: Tensor) -> None:
        learn(self, loss)
        if self.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    Trainee.learn = learn_and_die  # type: ignore[method-assign]
    task, model = digits(), build()
    train(
        model,
        TransferSet.of_split(task.train),
        task.validation,
        dataclasses.replace(SCHEDULE, ema_decay=ema or None),
        seed=0,
        checkpoint=checkpoint,
        checkpoint_seconds=0.0,
        distillation=taught_by(build(7), cache=checkpoint.parent / "cache") if with_teacher else None,
    )
    torch.save(model.state_dict(), checkpoint.with_suffix(".weights"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True", float(sys.argv[4]))
