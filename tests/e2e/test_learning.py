"""What a recipe can say about teachers and what they teach, and what is refused before anything trains."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

from compress import pipeline
from compress.errors import CompressError
from compress.models.mobile import mobile_cnn
from compress.progress import Progress
from compress.recipe import load_recipe
from compress.tasks.digits import digits
from compress.types import Results
from tests.e2e import schooling

TEACHER = {"call": "compress.models.mobile:mobile_cnn", "args": {"widths": [8, 16], "strides": [1, 2]}}
STUDENT = {"call": "compress.models.mobile:mobile_cnn", "args": {"widths": [8], "strides": [2]}}
TRAIN = {"epochs": 1, "batch_size": 64, "learning_rate": 0.1, "augment": None}
KD = {"alpha": 0.9, "temperature": 4}
FOREST = {"probabilities": {"call": "tests.e2e.schooling:forest"}}
HINT = {"call": "compress.distill:Hint", "args": {"weight": 1}}


@dataclass(frozen=True)
class School:
    """Runs variations of one recipe in one home. `log` is what the last run showed."""

    folder: Path
    console: io.StringIO

    def recipe(self, **changes: Any) -> Path:
        recipe = {
            "name": "school",
            "task": {"call": "compress.tasks.digits:digits"},
            "teacher": {"model": TEACHER, "weights": "teacher.safetensors"},
            "student": {"model": STUDENT, "train": TRAIN, "distill": KD},
            "quantize": ["float32"],
            "formats": ["onnx"],
            "verify": {"images": 8},
            **changes,
        }
        path = self.folder / "recipe.yaml"
        path.write_text(json.dumps(recipe))
        return path

    def progress(self) -> Progress:
        self.console.truncate(0)
        return Progress(Console(file=self.console, width=200))

    def train(self, **changes: Any) -> dict[str, dict[str, torch.Tensor]]:
        """Everything up to the trained models: role -> weights."""
        progress = self.progress()
        run = pipeline._prepare(load_recipe(self.recipe(**changes)), self.folder / "home", progress)
        return {each.role: load_file(each.path) for each in pipeline._train(run)[0]}

    def execute(self, folder: str, **changes: Any) -> Results:
        recipe = load_recipe(self.recipe(**changes))
        return pipeline.execute(recipe, self.folder / folder, self.folder / "home", self.progress())

    @property
    def log(self) -> str:
        return self.console.getvalue()


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    """With the weights of a trained teacher beside the recipe."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    school = School(tmp_path_factory.mktemp("school"), io.StringIO())
    teacher = {"model": TEACHER, "train": {**TRAIN, "epochs": 4}}
    weights = school.train(teacher=teacher)["teacher"]
    save_file(weights, school.folder / "teacher.safetensors")
    torch.save({"state_dict": weights, "epoch": 4}, school.folder / "teacher.pt")
    yield school
    torch.set_num_threads(threads)


def with_distill(**distill: Any) -> dict[str, Any]:
    return {"student": {"model": STUDENT, "train": TRAIN, "distill": {**KD, **distill}}}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_teacher_from_a_file_is_the_one_that_was_trained(school: School) -> None:
    given = load_file(school.folder / "teacher.safetensors")
    safe = school.train()
    torch_file = school.train(teacher={"model": TEACHER, "weights": "teacher.pt"})
    assert equal(safe["teacher"], given)
    assert equal(torch_file["teacher"], given)
    assert equal(safe["student"], torch_file["student"])
    assert "train student (cached)" in school.log


def test_several_teachers_are_asked_once_and_a_second_run_asks_nobody(school: School) -> None:
    normalised = {"model": TEACHER, "train": {**TRAIN, "epochs": 4}, "normalize": {"mean": [0.5], "std": [0.5]}}
    changes = {"more_teachers": [{"model": TEACHER, "weights": "teacher.pt"}, FOREST], "teacher": normalised}
    task = digits()
    schooling.ASKED.clear()
    first = school.execute("several", **changes)
    # Two samples to try it, then each split once: to score it, to teach, and to watch the agreement.
    assert sum(schooling.ASKED) == 2 + len(task.test) + len(task.train) + len(task.validation)
    assert "test teacher tests.e2e.schooling:forest" in school.log
    schooling.ASKED.clear()
    second = school.execute("several", **changes)
    assert schooling.ASKED == []
    assert [each.sha256 for each in second.artifacts] == [each.sha256 for each in first.artifacts]
    # Normalisation is part of the exported file, and no part of the weights, which fit the user's own module.
    kept = load_file(school.folder / "several" / "models" / "teacher.safetensors")
    assert kept.keys() == mobile_cnn(in_channels=1, classes=10, widths=(8, 16), strides=(1, 2)).state_dict().keys()
    save_file(kept, school.folder / "normalised.safetensors")
    again = {"model": TEACHER, "weights": "normalised.safetensors", "normalize": normalised["normalize"]}
    assert equal(school.train(teacher=again)["teacher"], kept)
    alone, both = school.train(), school.train(more_teachers=[FOREST])
    logit = school.train(more_teachers=[FOREST], **with_distill(combine="mean_logit"))
    assert not equal(alone["student"], both["student"])
    assert not equal(logit["student"], both["student"])


def test_unlabelled_images_teach_with_alpha_1_alone(school: School) -> None:
    unlabelled = {"call": "tests.e2e.schooling:unlabelled"}
    trained = school.train(**with_distill(alpha=1, transfer_set=unlabelled))
    assert set(trained) == {"teacher", "student"}
    with pytest.raises(CompressError, match=r"schooling:unlabelled: has no labels, which alpha 0.9 needs"):
        school.train(**with_distill(transfer_set=unlabelled))


def test_features_generations_and_live_teachers(school: School) -> None:
    matched = {"student_layer": "pool", "teacher_layer": "pool", "loss": HINT, "project": True}
    hinted, plain = school.train(**with_distill(features=[matched])), school.train()
    assert hinted["student"].keys() == plain["student"].keys()
    assert not equal(hinted["student"], plain["student"])
    born_again = school.train(**with_distill(generations=2))
    assert list(born_again) == ["teacher", "student", "student_generation_1"]
    assert equal(born_again["student_generation_1"], plain["student"])
    assert not equal(born_again["student"], plain["student"])
    live = school.train(**with_distill(live=True, temperature=4.5))["student"]
    cached = school.train(**with_distill(temperature=4.5))["student"]
    for name, tensor in live.items():
        torch.testing.assert_close(tensor, cached[name], rtol=1e-2, atol=1e-3)


def test_a_student_is_trained_on_for_int8(school: School) -> None:
    """With its teacher, from its own weights; the file holds other integers than without, of the same ranges."""
    tuned = {"scheme": "qat_int8", "train": {**TRAIN, "learning_rate": 1e-3}}
    mixed = {"scheme": "mixed_int8", "exempt": ["classifier"]}
    results = school.execute("tuned", quantize=["static_int8", tuned, mixed])
    log = school.log
    assert "train student for int8 1/1" in log
    assert log.index("train student for int8") < log.index("export student static_int8")
    files = {artifact.name: artifact for artifact in results.artifacts}
    plain, trained = files["student-int8.onnx"], files["student-qat-int8.onnx"]
    assert trained.precision == "qat_int8"
    assert trained.sha256 != plain.sha256
    assert trained.size_bytes == plain.size_bytes
    tables = [results.provenance["quantization"][name]["parameters"] for name in (plain.name, trained.name)]
    values = [name for name in tables[0] if "." not in name]
    assert [tables[0][name] for name in values] == [tables[1][name] for name in values]
    school.execute("tuned", quantize=["static_int8", tuned, mixed])
    assert "train student for int8 (cached)" in school.log
    check_layers(results)


def check_layers(results: Results) -> None:
    """Of a run whose student leaves its classifier in float once."""
    found = results.provenance["sensitivity"]
    paths = [each["layer"].split(" ")[0] for each in found["layers"] if each["parameters"]]
    assert (paths[0], paths[-1]) == ("stem.0", "classifier")
    assert 5 < found["whole"]["sqnr_db"] <= min(each["sqnr_db"] for each in found["layers"]) + 3
    (left,) = results.provenance["quantization"]["student-mixed-int8.onnx"]["left_in_float"]
    assert left["node"].startswith("classifier ")
    mixed, plain = (
        next(results.audits[a.sha256] for a in results.artifacts if a.name == f"student-{precision}.onnx")
        for precision in ("mixed-int8", "int8")
    )
    assert len(mixed["float_islands"]) == 1 > len(plain["float_islands"])


def test_weights_that_share_memory_are_saved(school: School) -> None:
    student = {"model": {"call": "tests.e2e.schooling:tied"}, "train": TRAIN}
    trained = school.train(student=student)["student"]
    assert torch.equal(trained["first.weight"], trained["second.weight"])


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w, _: {k: v for k, v in w.items() if "classifier" not in k}, "2 missing: classifier.weight"),
        (lambda w, _: w | {"head.bias": torch.ones(1)}, "1 unexpected: head.bias"),
        (lambda w, folder: w | {"head.bias": Evil(folder / "executed")}, r"which loading would execute \(.*mkdir\)"),
    ],
)
def test_a_file_of_other_weights_is_refused(school: School, change: Callable[..., Any], message: str) -> None:
    weights = load_file(school.folder / "teacher.safetensors")
    torch.save(change(weights, school.folder), school.folder / "bad.pt")
    with pytest.raises(CompressError, match=rf"bad.pt: .*{message}"):
        school.train(teacher={"model": TEACHER, "weights": "bad.pt"})
    assert not (school.folder / "executed").exists()


FIVE = {"call": "tests.e2e.schooling:five_classes"}
DKD_LOSS = {"alpha": 0.9, "loss": {"call": "compress.distill:DKD"}}
REFUSALS: list[tuple[dict[str, Any], str]] = [
    (
        {
            "task": {"call": "tests.e2e.schooling:two_digits"},
            "student": {"model": STUDENT, "train": TRAIN, "distill": DKD_LOSS},
        },
        "DKD means nothing with 2 classes; expected at least 3; use SoftTargets",
    ),
    ({"teacher": {"model": FIVE, "train": TRAIN}}, r"five_classes: the model gave shape \(2, 5\) for two images"),
    (
        {"student": {"model": FIVE, "train": TRAIN, "distill": KD}},
        r"five_classes: the model gave shape \(2, 5\) for two images; expected logits \(2, 10\)",
    ),
    (
        {"student": {"model": {"call": "tests.e2e.schooling:flat"}, "train": TRAIN}},
        r"schooling:flat: the model, on images of shape \(1, 8, 8\), raised RuntimeError: mat1 and mat2",
    ),
    (
        {"more_teachers": [{"probabilities": {"call": "tests.e2e.schooling:forest", "args": {"classes": 9}}}]},
        "returned probabilities of 9 classes; expected the 10 of task digits",
    ),
    ({"more_teachers": [{"probabilities": {"call": "tests.e2e.schooling:scores"}}]}, "expected probabilities; return"),
    (
        {"more_teachers": [{"probabilities": {"call": "tests.e2e.schooling:guesses"}}]},
        "schooling:guesses .*: has a test accuracy between .*; expected a model that knows more",
    ),
    (
        {"more_teachers": [{"model": TEACHER, "weights": "nowhere.pt"}]},
        "nowhere.pt: no such file; expected the weights of the teacher_2",
    ),
    (
        {"teacher": {"model": TEACHER, "train": TRAIN, "normalize": {"mean": [0.1] * 3, "std": [1.0] * 3}}},
        "normalize has 3 values for mean and std; expected one for each of the 1 channels of task digits",
    ),
    (
        with_distill(transfer_set={"call": "tests.e2e.schooling:held_out"}),
        "schooling:held_out: 3 of 67 images are in the test split",
    ),
    (
        with_distill(transfer_set={"call": "tests.e2e.schooling:bytes_as_floats"}),
        r"values reach from 0 to 255; expected \[0, 1\]",
    ),
]


PAIR = {"student_layer": "pool", "teacher_layer": "pool", "loss": HINT}
DISTANCE = {"call": "compress.distill:RelationalDistance", "args": {"weight": 1}}
REFUSALS += [
    (with_distill(features=[PAIR]), "are 8 and 16 wide; expected equal widths; write project: true"),
    (with_distill(features=[{**PAIR, "teacher_layer": "pol"}]), "teacher: has no layer 'pol'; .* near ones: pool"),
    (with_distill(features=[PAIR]) | {"more_teachers": [FOREST]}, "features are matched with several teachers"),
    (  # the student, which teaches the second generation, has fewer layers than the teacher
        with_distill(
            features=[{"student_layer": "pool", "teacher_layer": "blocks.0", "loss": DISTANCE}], generations=2
        ),
        "teacher: has no layer 'blocks.0'",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSALS)
def test_what_is_refused_before_anything_trains(
    school: School, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.stages.train.train", lambda *_, **__: pytest.fail("it trained"))
    with pytest.raises(CompressError, match=message) as caught:
        school.train(**changes)
    assert "\n" not in str(caught.value)


def test_a_teacher_at_chance_level_stops_the_run(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    untrained = mobile_cnn(in_channels=1, classes=10, widths=(8, 16), strides=(1, 2))
    save_file(untrained.state_dict(), school.folder / "untrained.safetensors")
    monkeypatch.setattr("compress.stages.train.train", lambda *_, **__: pytest.fail("it trained"))
    with pytest.raises(
        CompressError, match=r"teacher: has a test accuracy between .* expected a model that knows more"
    ):
        school.train(teacher={"model": TEACHER, "weights": "untrained.safetensors"})
    assert "test teacher in torch" in school.log  # its score was shown
