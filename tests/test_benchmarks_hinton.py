"""The scripts about Hinton et al. 2015 run, and write what they found."""

import importlib
import json
import os
from pathlib import Path

import pytest
import torch

from tests import forked

FOLDER = Path(__file__).parents[1] / "benchmarks" / "distillation"


@pytest.mark.parametrize(
    ("name", "trials"),
    [("hinton", 13), ("omitted_class", 2), ("few_labels", 8)],
)
def test_the_quick_form_ends_well(name: str, trials: int, tmp_path: Path, fashion_mnist_folder: Path) -> None:
    output = tmp_path / "found.json"
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "COMPRESS_HOME": str(tmp_path / "home"),
        "COMPRESS_DATA": str(fashion_mnist_folder),
    }
    done = forked.run(FOLDER / f"{name}.py", "--quick", "--output", output, environment=environment, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    assert found["summary"]
    assert len(found["trials"]) == trials


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts can be imported."""
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize("count", [0, 1, 37, 100])
def test_a_corrected_bias_lets_as_many_samples_in_as_asked(count: int) -> None:
    logits = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    logits[:, 2] -= 3
    logits[:, 2] += importlib.import_module("omitted_class").correct_bias(logits, 2, count)
    assert int((logits.argmax(1) == 2).sum()) == count


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize(
    ("teacher", "alone", "distilled", "code"),
    [(67, 146, 74, 0), (67, 146, 100, 1), (146, 146, 74, 1), (150, 146, 140, 1)],
)
def test_hinton_falls_short_of_a_gap_too_little_recovered_or_too_small(
    teacher: int, alone: int, distilled: int, code: int
) -> None:
    hinton, trials = importlib.import_module("hinton"), importlib.import_module("trials")
    counts = {"teacher": teacher, "alone": alone} | {hinton.name_of(t): 200 for t in hinton.TEMPERATURES}
    errors = {name: [{"validation_errors": count, "test_errors": count}] for name, count in counts.items()}
    errors["T=20"] = [{"validation_errors": 1, "test_errors": distilled}]
    wide = hinton.summarise(errors)
    assert wide["best"] == "T=20"
    options = trials.Options(quick=False, seeds=(0,), output=Path(os.devnull))
    assert hinton.judge({"mnist": {"wide": wide}}, options) == code
