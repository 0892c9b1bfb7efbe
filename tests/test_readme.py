"""What the README tells a stranger to type, and what it says they will see."""

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from compress.cli import app
from compress.errors import RecipeError
from compress.recipe import load_recipe
from compress.recipe.quantization import Scheme
from compress.recipe.variants import Variant
from compress.targets.devices import load_devices
from compress.tasks import Task

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("recipe", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(recipe: Path) -> None:
    assert load_recipe(recipe).budgets


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\| `compress (\w+)", README))))
def test_every_command_of_the_table_exists(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    for option in re.findall(rf"`compress {name}[^`]*?(--[a-z]+)", README):
        assert option in result.output


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (demo|test|check|\w+)`", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_mistake_in_the_readme_is_answered_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (answer,) = re.findall(r"^    (pipelines/mine\.yaml:\d+:\d+: .*)$", README, re.MULTILINE)
    (tmp_path / "pipelines").mkdir()
    text = (ROOT / "pipelines" / "quickstart.yaml").read_text(encoding="utf-8")
    (tmp_path / "pipelines" / "mine.yaml").write_text(text.replace("weight_decay: 1e-4", "weight_decy: 1e-4"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as error:
        load_recipe(Path("pipelines/mine.yaml"))
    assert str(error.value) == answer


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for recipes, beside a package of the reader's own."""
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "data.py").write_text("def photographs(*, home): ...\n")
    (package / "forests.py").write_text("def predictor(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


QUICKSTART = (ROOT / "pipelines" / "quickstart.yaml").read_text(encoding="utf-8")
(LEARNT,) = re.findall(r"```yaml\n(distill: .*?)```", README, re.DOTALL)
(REPAIRED,) = re.findall(r"```yaml\n(quantize:.*?)```", README, re.DOTALL)
(TEACHERS,) = re.findall(r"```yaml\n(teacher: .*?)```", README, re.DOTALL)


@pytest.mark.parametrize("line", LEARNT.splitlines())
def test_every_way_to_distil_is_a_recipe(line: str, mine: Path) -> None:
    (shipped,) = re.findall(r"^  distill: .*$", QUICKSTART, re.MULTILINE)
    (mine / "mine.yaml").write_text(QUICKSTART.replace(shipped, f"  {line}"))
    assert load_recipe(mine / "mine.yaml").student.distill


def test_ones_own_model_and_data_are_a_recipe(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (module,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (recipe,) = re.findall(r"```yaml\n(task: .*?)```", README, re.DOTALL)
    (mine / "my_package" / "photos.py").write_text(module)
    rest = QUICKSTART[QUICKSTART.index("quantize:") : QUICKSTART.index("budgets:")]
    (mine / "mine.yaml").write_text(f"name: mine\n{recipe}{rest}")
    rng = np.random.default_rng(0)
    np.savez(
        mine / "photos.npz",
        images=rng.random((800, 3, 8, 8), np.float32),
        labels=rng.integers(0, 2, 800),
        test_images=rng.random((9, 3, 8, 8), np.float32),
        test_labels=rng.integers(0, 2, 9),
    )
    monkeypatch.chdir(mine)
    loaded = load_recipe(mine / "mine.yaml")
    task: Task = loaded.task.build(home=mine)
    assert [len(split) for split in task.splits()] == [100, 200, 500, 9]
    student = loaded.student.model.build(in_channels=3, classes=len(task.classes))
    assert student(torch.from_numpy(task.test.images)).shape == (9, 2)


def test_several_teachers_are_a_recipe(mine: Path) -> None:
    (shipped,) = re.findall(r"^teacher:\n(?:  .*\n)+", QUICKSTART, re.MULTILINE)
    (mine / "mine.yaml").write_text(QUICKSTART.replace(shipped, TEACHERS))
    assert len(load_recipe(mine / "mine.yaml").more_teachers) == 2


def test_a_model_that_is_trained_already_is_a_recipe(mine: Path) -> None:
    (given,) = re.findall(r"```yaml\n(student:.*?)quantize:.*?```", README, re.DOTALL)
    start, rest = QUICKSTART.index("\nteacher:"), QUICKSTART.index("quantize:")
    (mine / "my_package" / "photos.py").write_text("def network(in_channels, classes, *, width): ...\n")
    (mine / "mine.yaml").write_text(f"{QUICKSTART[:start]}\n{given}{QUICKSTART[rest:]}")
    recipe = load_recipe(mine / "mine.yaml")
    assert (recipe.teacher, recipe.student.weights) == (None, "student.safetensors")


def test_devices_are_a_recipe(mine: Path) -> None:
    (devices,) = re.findall(r"```yaml\n(benchmark:\n  devices:.*?)```", README, re.DOTALL)
    (mine / "mine.yaml").write_text(QUICKSTART.partition("\nbenchmark:")[0] + "\n" + devices)
    recipe = load_recipe(mine / "mine.yaml")
    assert [device.name for device in recipe.benchmark.devices or ()] == ["pi4", "pixel"]
    assert {budget.target for budget in recipe.budgets} == {"pi4"}


def test_phones_are_a_recipe(mine: Path) -> None:
    (phones,) = re.findall(r"```yaml\n(benchmark:\n  phones:.*?)```", README, re.DOTALL)
    (mine / "mine.yaml").write_text(QUICKSTART.partition("\nbenchmark:")[0] + "\n" + phones)
    recipe = load_recipe(mine / "mine.yaml")
    assert recipe.benchmark.phones
    assert recipe.benchmark.phones.names == ("Pixel 4", "Raspberry Pi 4")
    assert {budget.metric for budget in recipe.budgets} == {"predicted_latency_ms"}


def test_variants_and_the_older_runtime_are_a_recipe(mine: Path) -> None:
    (variants,) = re.findall(r"```yaml\n(variants:.*?)```", README, re.DOTALL)
    (tried,) = re.findall(r"```yaml\n(verify:.*?)```", README, re.DOTALL)
    (mine / "mine.yaml").write_text(QUICKSTART.partition("\nverify:")[0] + "\n" + variants + tried)
    recipe = load_recipe(mine / "mine.yaml")
    assert {"student-int8.ort", "student-int8-unsigned.onnx", "student-int8-float-io.tflite"} <= {
        *recipe.artifact_names()
    }
    assert set(re.findall(r"^  - (\w+) +# ", variants, re.MULTILINE)) == set(get_args(Variant))
    assert [budget.target for budget in recipe.budgets] == ["cortex-a53"]


def test_a_repaired_scheme_is_a_recipe(mine: Path) -> None:
    (mine / "mine.yaml").write_text(QUICKSTART.replace("quantize: [float32, float16, static_int8]\n", REPAIRED))
    (entry,) = load_recipe(mine / "mine.yaml").quantize
    assert (entry.calibration, entry.rounding, entry.bias_correction) == ("mse", "learnt", "calibrated")


def test_the_entry_that_chooses_is_a_recipe(mine: Path) -> None:
    (entry,) = re.findall(r"`(\{scheme: auto.*?\})`", README)
    (mine / "mine.yaml").write_text(QUICKSTART.replace("[float32, float16, static_int8]", f"[static_int8, {entry}]"))
    assert "student-auto.tflite" in load_recipe(mine / "mine.yaml").artifact_names()


def test_every_scheme_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == set(get_args(Scheme))


def test_files_and_folders_that_the_readme_names_exist() -> None:
    for name in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / name).exists(), name


def test_own_devices_are_a_file_and_a_line_of_a_recipe(mine: Path) -> None:
    (phones,) = re.findall(r"```yaml\n(socs:.*?)```", README, re.DOTALL)
    (line,) = re.findall(r"`(devices: \S+)`", README)
    (mine / line.removeprefix("devices: ")).write_text(phones)
    (mine / "mine.yaml").write_text(QUICKSTART.replace("task:", f"{line}\ntask:", 1))
    assert len(load_recipe(mine / "mine.yaml").devices) > len(load_devices())
