"""What a teacher said about every sample of a view: asked once, ever.

- Keyed by all that the answers depend on: the teacher, the samples, the augmentation policy and its code, and the
  view's seed. A cache without the view is taken under one crop and used under another, which costs more than it saves
  (1.2 points at 30 epochs, 3 at 1200: Beyer et al. 2021, table 4).
- Raw logits in float16, so that any temperature and any loss on logits can be trained from one cache; live teachers
  are rounded the same way, so that a cache changes nothing but the time.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from compress.distill.device import Device
from compress.distill.teachers import Teacher
from compress.distill.transfer import TransferSet
from compress.distill.views import Augment, View
from compress.errors import DataError, ModelError

_BATCH = 500
_DECIDE = ("views.py", "seeds.py", "teachers.py", "device.py")


@dataclass(frozen=True, kw_only=True)
class CacheKey:
    """What the cached answers depend on, view index apart.

    teacher: its identity.
    samples: sha256 of the transfer set's inputs.
    augment: the policy, as JSON; `null` for none.
    seed: of the run, from which each view's own seed is derived.
    device: the kind of processor that the teacher computes on.
    code: sha256 of the code that makes views and asks, and torch's version.
    """

    teacher: str
    samples: str
    augment: str
    seed: int
    device: str
    code: str

    @classmethod
    def of(
        cls, teacher: Teacher, transfer: TransferSet, augment: Augment | None, seed: int, device: Device
    ) -> CacheKey:
        """The key of a teacher's answers about views of a transfer set."""
        return cls(
            teacher=teacher.identity,
            samples=transfer.sha256,
            augment=json.dumps(asdict(augment) if augment else None, sort_keys=True),
            seed=seed if augment else 0,  # without augmentation there is one view, whatever the seed
            device=device.name,
            code=hashlib.sha256(
                torch.__version__.encode() + b"".join(Path(__file__).with_name(f).read_bytes() for f in _DECIDE)
            ).hexdigest(),
        )

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that name the cache's folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class CacheCheck:
    """How a cache compares with the teacher asked again.

    samples: how many were asked.
    max_abs_difference: of logits.
    changed_classes: how many samples the teacher now puts into another class.
    max_abs_logit: of those that are kept.
    """

    samples: int
    max_abs_difference: float
    changed_classes: int
    max_abs_logit: float


class TeacherCache:
    """A folder with one file per view; several processes may read it."""

    def __init__(self, folder: Path, key: CacheKey) -> None:
        """Nothing is read or written yet.

        Args:
            folder: made when it is needed; it holds the answers of one key.
            key: what the answers must depend on.
        """
        self.folder, self.key = folder, key

    def fill(self, teacher: Teacher, transfer: TransferSet, augment: Augment | None, view: int, device: Device) -> bool:
        """Ask the teacher about a view of every sample, unless the answers are here.

        Returns:
            Whether it was asked.

        Raises:
            ModelError: the folder holds another teacher's answers, or an answer does not fit into float16.
        """
        if self.read(view, len(transfer)) is not None:
            return False
        plan = View(len(transfer), augment, seed=self.key.seed, view=view)
        inputs = torch.from_numpy(transfer.inputs)
        answers = [
            to_half(teacher.logits(plan.of(inputs[index], index), device)).cpu()
            for index in torch.arange(len(transfer)).split(_BATCH)
        ]
        self._write(view, torch.cat(answers))
        return True

    def read(self, view: int, count: int) -> Tensor | None:
        """A view's answers, (count, classes) float16 on the CPU; None if the teacher has not been asked, or if the
        file is damaged, which is then set aside.

        Raises:
            ModelError: the file holds the answers of another key.
        """
        path = self._path(view)
        try:
            with safe_open(path, framework="pt") as file:
                metadata, logits = file.metadata() or {}, file.get_tensor("logits")
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError):
            _set_aside(path)
            return None
        self._refuse_another_key(path, metadata)
        if logits.dtype != torch.float16 or len(logits) != count or metadata.get("sha256") != _sha256(logits):
            _set_aside(path)
            return None
        return logits

    def require(self, view: int, count: int) -> Tensor:
        """As `read`, for a cache that was filled.

        Raises:
            DataError: the answers are not here, or damaged.
        """
        logits = self.read(view, count)
        if logits is None:
            raise DataError(
                f"{self._path(view)}: the teacher's answers about view {view} are missing or damaged; expected a filled"
                " cache; run the same command again, which asks the teacher anew"
            )
        return logits

    def check(
        self, teacher: Teacher, transfer: TransferSet, augment: Augment | None, view: int, samples: int, device: Device
    ) -> CacheCheck:
        """Ask the teacher again about some samples of a view, evenly spread, and compare.

        Raises:
            DataError, ModelError: as `require`.
        """
        cached = self.require(view, len(transfer))
        index = torch.linspace(0, len(transfer) - 1, min(samples, len(transfer))).round().long()
        plan = View(len(transfer), augment, seed=self.key.seed, view=view)
        live = teacher.logits(plan.of(torch.from_numpy(transfer.inputs)[index], index), device).cpu()
        kept = cached[index].float()
        return CacheCheck(
            samples=len(index),
            max_abs_difference=float((live - kept).abs().max()),
            max_abs_logit=float(kept.abs().max()),
            changed_classes=int((live.argmax(1) != kept.argmax(1)).sum()),
        )

    def _path(self, view: int) -> Path:
        return self.folder / f"view-{view:05d}.safetensors"

    def _refuse_another_key(self, path: Path, metadata: dict[str, str]) -> None:
        for name, wanted in asdict(self.key).items():
            if metadata.get(name) != str(wanted):
                raise ModelError(
                    f"{path}: a teacher cache with {name} {metadata.get(name)}; expected {wanted};"
                    " give each teacher, data set and augmentation a folder of its own, or delete this one"
                )

    def _write(self, view: int, logits: Tensor) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(view)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        metadata = {name: str(value) for name, value in asdict(self.key).items()} | {"sha256": _sha256(logits)}
        save_file({"logits": logits}, temporary, metadata=metadata)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)


def to_half(logits: Tensor) -> Tensor:
    """Logits in float16, as the cache keeps them.

    Raises:
        ModelError: a logit is not finite, or too large for float16.
    """
    half = logits.half()
    if not torch.isfinite(half).all():
        raise ModelError(
            f"the teacher answered with a logit of {float(logits.abs().nan_to_num(torch.inf).max()):g}; expected finite"
            " logits up to 65504; look at the teacher's weights and its input normalisation"
        )
    return half


def _set_aside(path: Path) -> None:
    path.replace(path.with_suffix(f".damaged-{uuid.uuid4().hex[:8]}"))


def _sha256(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().data).hexdigest()
