"""Layers by their path: checked before training, projected by what trains along, and let go of afterwards."""

from __future__ import annotations

import copy
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from learning import same
from torch import nn

from compress.distill import (
    AttentionTransfer,
    Augment,
    Distillation,
    FeatureMatch,
    Hint,
    ModuleTeacher,
    Normalized,
    ProbabilityTeacher,
    RelationalAngle,
    RelationalDistance,
    Schedule,
    TransferSet,
    train,
)
from compress.distill.device import Device
from compress.distill.features import LayerTap, Learner, match_loss
from compress.errors import DataError, ModelError
from compress.models.mlp import mlp
from compress.models.vit import vit
from compress.tasks import Split

RANDOM = np.random.default_rng(0)
TRANSFER = TransferSet(inputs=RANDOM.random((32, 1, 8, 8), dtype=np.float32), labels=RANDOM.integers(0, 3, 32))
VALIDATION = Split(name="validation", images=TRANSFER.inputs[:4], labels=np.zeros(4, np.int64))
SCHEDULE = Schedule(epochs=2, batch_size=8, learning_rate=0.05)
HINT = Hint(weight=1.0)


def cnn(width: int, stride: int = 1) -> nn.Module:
    torch.manual_seed(width)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, stride, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3),
    )  # fmt: skip


def match(loss, student_layer: str = "2", teacher_layer: str = "2", project: bool = False) -> FeatureMatch:
    return FeatureMatch(student_layer=student_layer, teacher_layer=teacher_layer, loss=loss, project=project)


def learn(
    student: nn.Module,
    teacher: nn.Module,
    folder: Path,
    *matches: FeatureMatch,
    alpha: float = 0.5,
    transfer: TransferSet = TRANSFER,
    schedule: Schedule = SCHEDULE,
) -> dict[str, torch.Tensor]:
    """Train, and return the last checkpoint's learner."""
    distillation = Distillation(
        teachers=(ModuleTeacher(model=teacher),), alpha=alpha, features=matches, cache=folder / "cache"
    )
    validation = dataclasses.replace(VALIDATION, images=transfer.inputs[:4])
    train(student, transfer, validation, schedule, seed=0, checkpoint=folder / "c.pt", distillation=distillation)
    content = (folder / "c.pt").read_bytes()[32:]
    return torch.load(io.BytesIO(content), weights_only=True)["learner"]


def test_the_projector_trains_is_kept_with_the_checkpoint_and_is_no_part_of_the_student(tmp_path: Path) -> None:
    names = list(cnn(4).state_dict())
    kept = []
    for epochs in (1, 2):
        student, teacher = cnn(4, stride=2), cnn(6)
        schedule = dataclasses.replace(SCHEDULE, epochs=epochs)
        kept.append(learn(student, teacher, tmp_path / str(epochs), match(HINT, project=True), schedule=schedule))
        assert list(student.state_dict()) == names
        assert {name for name in kept[-1] if not name.startswith("student.")} == {"projectors.0.weight"}
    one, two = (each["projectors.0.weight"] for each in kept)
    assert one.shape == (6, 4, 1, 1)
    assert not torch.equal(one, two)
    assert not (tmp_path / "1" / "cache").exists()  # features are asked live


def test_no_hook_stays_behind(tmp_path: Path) -> None:
    student, teacher = cnn(4), cnn(6)
    learn(student, teacher, tmp_path / "a", match(HINT, project=True))
    with pytest.raises(ModelError):
        learn(student, teacher, tmp_path / "b", match(HINT, project=True), match(HINT, student_layer="9"))
    with pytest.raises(ModelError, match=r"is not finite|the loss became"):
        learn(student, teacher, tmp_path / "c", match(Hint(weight=1e38), project=True))
    assert not any(module._forward_hooks for model in (student, teacher) for module in model.modules())
    assert same(copy.deepcopy(student), student)
    torch.export.export(cnn(4).eval(), (torch.zeros(1, 1, 8, 8),))


def test_a_layers_output_is_kept_before_an_inplace_layer_overwrites_it() -> None:
    model, inputs = cnn(4).eval(), torch.randn(2, 1, 8, 8)
    tap = LayerTap(model, ["1", "2"], "student")
    model(inputs)
    norm, relu = tap.take()
    assert norm.min() < 0
    assert torch.equal(relu, norm.relu())
    with pytest.raises(ModelError, match="student: layer 1 gave NoneType"):
        tap.take()  # they were forgotten
    tap.close()


@pytest.mark.parametrize(
    ("matches", "message"),
    [
        ([match(HINT, "4", "layer2")], "teacher: has no layer 'layer2'; expected a module path; near ones: "),
        ([match(HINT, "22", "2")], "student: has no layer '22'; expected a module path; near ones: 2"),
        ([match(HINT, "", "2")], "student: has no layer ''"),
        ([match(HINT)], r"features 2 \(2, 4, 8, 8\) and 2 \(2, 6, 8, 8\): are 4 and 6 wide; .* project: true"),
        ([match(HINT, "5", "2", project=True)], "have 2 and 4 dimensions"),
        ([match(AttentionTransfer(weight=1.0), "5", "2")], r"expected \(batch, channels, height, width\); choose"),
    ],
)
def test_what_cannot_match_is_refused_before_training(tmp_path: Path, matches, message: str) -> None:
    student = cnn(4)
    student.register_forward_pre_hook(lambda module, _: pytest.fail("it trained") if module.training else None)
    with pytest.raises(ModelError, match=message):
        learn(student, cnn(6), tmp_path, *matches)


def test_features_need_one_teacher_that_has_layers() -> None:
    module, callable_ = ModuleTeacher(model=cnn(4)), ProbabilityTeacher(predict=lambda _: np.ones(1), identity="c")
    for teachers in ((module, module), (callable_,), (module, callable_)):
        with pytest.raises(ModelError, match="features are matched with several teachers or with a callable"):
            Distillation(teachers=teachers, features=(match(HINT),))


@pytest.mark.parametrize(
    "loss", [AttentionTransfer(weight=10.0), RelationalDistance(weight=1.0), RelationalAngle(weight=1.0), HINT]
)
def test_every_loss_reaches_the_student(tmp_path: Path, loss) -> None:
    """With alpha 0 and without features it would be plain training."""
    plain, matched = cnn(4), cnn(4)
    learn(plain, cnn(6), tmp_path / "plain", alpha=0.0)
    learn(matched, cnn(6), tmp_path / "matched", match(loss, project=loss is HINT), alpha=0.0)
    assert not torch.equal(plain[0].weight, matched[0].weight)  # type: ignore[index]


def test_the_larger_map_is_averaged_down() -> None:
    large, small = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 4, 4)
    pooled = large.reshape(3, 4, 4, 2, 4, 2).mean((3, 5))
    expected = float(((pooled - small) ** 2).mean())
    assert float(match_loss(match(HINT), large, small)) == pytest.approx(expected, rel=1e-5)
    assert float(match_loss(match(HINT), small, large)) == pytest.approx(expected, rel=1e-5)


def test_an_average_of_the_weights_is_kept_beside_features(tmp_path: Path) -> None:
    student = cnn(4)
    schedule = dataclasses.replace(SCHEDULE, ema_decay=0.9)
    last = learn(student, cnn(6), tmp_path, match(HINT, project=True), schedule=schedule)
    assert not torch.equal(student[0].weight, last["student.0.weight"])  # type: ignore[index]
    assert not any(module._forward_hooks for module in student.modules())


def test_rows_instead_of_images(tmp_path: Path) -> None:
    rows = TransferSet(inputs=TRANSFER.inputs.reshape(32, 64), labels=TRANSFER.labels)
    student, teacher = mlp(in_features=64, classes=3, widths=(8,)), mlp(in_features=64, classes=3, widths=(16, 12))
    kept = learn(student, teacher, tmp_path, match(HINT, "hidden.0", "hidden.1", project=True), transfer=rows)
    assert kept["projectors.0.weight"].shape == (12, 8)
    augmented = dataclasses.replace(SCHEDULE, augment=Augment())
    with pytest.raises(DataError, match=r"samples of shape \(64,\) under augment; expected images"):
        learn(student, teacher, tmp_path / "augmented", transfer=rows, schedule=augmented)


def test_tokens_of_transformers(tmp_path: Path) -> None:
    def transformer(patch: int, width: int) -> nn.Module:
        torch.manual_seed(0)
        return vit(in_channels=1, classes=3, image_size=8, patch_size=patch, width=width, depth=1, heads=2)

    student, teacher = transformer(4, 8), transformer(4, 12)
    layer = "blocks.0"
    learn(student, teacher, tmp_path / "same", match(HINT, layer, layer, project=True))
    with pytest.raises(ModelError, match="expected equal shapes"):
        learn(student, transformer(2, 12), tmp_path / "finer", match(HINT, layer, layer, project=True))
    learn(cnn(4), teacher, tmp_path / "cnn", match(RelationalDistance(weight=1.0), "2", layer))


def test_features_alone_need_no_labels(tmp_path: Path) -> None:
    """The first stage of FitNets (Romero et al. 2015): hints, and nothing else."""
    student = cnn(4)
    before = copy.deepcopy(student)
    lesson = Distillation(teachers=(ModuleTeacher(model=cnn(6)),), alpha=0.0, features=(match(HINT, project=True),))
    unlabelled = TransferSet(inputs=TRANSFER.inputs, labels=None)
    train(student, unlabelled, VALIDATION, SCHEDULE, seed=0, checkpoint=tmp_path / "c.pt", distillation=lesson)
    assert not torch.equal(student[0].weight, before[0].weight)
    assert torch.equal(student[5].weight, before[5].weight)  # the classifier lies behind the hint


def test_a_normalised_teachers_layers_keep_their_names(tmp_path: Path) -> None:
    """By the same path, a teacher that is normalised with 0 and 1 teaches what the bare one does."""
    teachers = (cnn(4), Normalized(cnn(4), [0.0], [1.0]))
    bare, normalised = (
        learn(cnn(6), teacher, tmp_path / str(i), match(HINT, project=True)) for i, teacher in enumerate(teachers)
    )
    assert all(torch.equal(bare[name], tensor) for name, tensor in normalised.items())


def test_projected_features_are_float32_under_autocast() -> None:
    learner = Learner(cnn(4), [match(HINT, project=True)], [nn.Conv2d(4, 6, 1, bias=False)])
    with Device(name="cpu", bf16=True, threads=1).autocast():
        _, (feature,) = learner(torch.rand(2, 1, 8, 8))
    assert feature.dtype == torch.float32
