"""A student that is trained already: quantised, exported and judged as it is, with no teacher in the recipe."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

from compress.models.mobile import mobile_cnn
from compress.tasks.digits import digits
from compress.types import Results
from tests.e2e.conftest import Finished, fails

WIDTHS, STRIDES = (8, 16, 24), (1, 1, 2)
MODEL = {"call": "compress.models.mobile:mobile_cnn", "args": {"widths": WIDTHS, "strides": STRIDES}}
TRAIN = {"epochs": 1, "batch_size": 64, "learning_rate": 1e-3, "augment": None}


def recipe(folder: Path, student: dict[str, Any], **changes: Any) -> Path:
    content = {
        "name": "given",
        "task": {"call": "compress.tasks.digits:digits"},
        "student": {"model": MODEL, **student},
        "quantize": ["float32", {"scheme": "qat_int8", "train": TRAIN}],
        "formats": ["onnx"],
        "verify": {"images": 8},
        "budgets": [
            {
                "metric": "size_bytes",
                "artifact": "student-qat-int8.onnx",
                "at_most": 1.2,
                "relative_to": "teacher-float32.*",
            },
            {"metric": "accuracy_drop", "artifact": "student-qat-int8.onnx", "at_most": 0.05},
        ],
        **changes,
    }
    path = folder / "given.yaml"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def given(tiny_run: Path, compress: Callable[..., Finished], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a run; the weights are those of another run's student."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "student.safetensors").write_bytes((tiny_run / "models" / "student.safetensors").read_bytes())
    finished = compress("run", recipe(folder, {"weights": "student.safetensors"}), "-o", folder / "run")
    assert finished.code == 0, finished.out + finished.err
    trained = [line for line in finished.out.splitlines() if line.startswith("✓ train")]
    assert [line.partition(" (")[0].partition(":")[0] for line in trained] == ["✓ train student for int8"]
    return folder / "run"


def test_the_student_is_the_baseline_as_it_came(given: Path, tiny_run: Path) -> None:
    """Its float32 file is what torch makes of the user's weights, and what every file is held against."""
    weights = load_file(tiny_run / "models" / "student.safetensors")
    model = mobile_cnn(in_channels=1, classes=10, widths=WIDTHS, strides=STRIDES)
    model.load_state_dict(weights)
    test = digits().test
    with torch.no_grad():
        wanted = model.eval()(torch.from_numpy(test.images))
    files = {artifact.name: artifact for artifact in Results.load(given / "results.json").artifacts}
    (logits,) = onnxruntime.InferenceSession(given / "models" / "teacher-float32.onnx").run(
        None, {"input": test.images}
    )
    torch.testing.assert_close(torch.from_numpy(logits), wanted, rtol=0, atol=1e-4)
    assert files["teacher-float32.onnx"].sha256 == files["student-float32.onnx"].sha256
    kept = load_file(given / "models" / "student.safetensors")
    assert kept.keys() == weights.keys()
    assert all(torch.equal(kept[name], weights[name]) for name in kept)


def test_it_is_its_own_teacher_for_int8(given: Path) -> None:
    """int8 after training agrees with the float model, and losses are against that."""
    results = Results.load(given / "results.json")
    files = {artifact.name: artifact.sha256 for artifact in results.artifacts}
    (drop,) = (
        m for m in results.measurements if (m.artifact, m.metric) == (files["student-qat-int8.onnx"], "accuracy_drop")
    )
    assert drop.reference == files["teacher-float32.onnx"]
    assert [each["role"] for each in results.provenance["training"]] == ["teacher", "student"]


def test_weights_that_do_not_fit_stop_the_run(tmp_path: Path, compress: Callable[..., Finished]) -> None:
    """Before a teacher trains, as those at chance level do."""
    model = mobile_cnn(in_channels=1, classes=10, widths=WIDTHS, strides=STRIDES)
    save_file(model.state_dict(), tmp_path / "untrained.safetensors")
    save_file({"weight": torch.ones(1)}, tmp_path / "other.safetensors")
    teacher = {"model": MODEL, "train": {**TRAIN, "epochs": 1000}}
    for weights, said in {
        "missing.safetensors": "missing.safetensors: no such file; expected the weights of the student",
        "other.safetensors": "other.safetensors: does not fit the model",
        "untrained.safetensors": "student: has a test accuracy between",
    }.items():
        path = recipe(tmp_path, {"weights": weights}, teacher=teacher)
        fails(compress("run", path, "-o", tmp_path / "run"), 3, said)
