"""Every way to go wrong ends with one clear line on stderr, the right exit code, and no manifest."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import RECIPE, command, environment, fails

TASK = "compress.tasks.digits:digits"
STUDENT = '"compress.models.mobile:mobile_cnn", args: {widths: [8, 16, 24], strides: [1, 1, 2]}'


@pytest.fixture
def altered(tmp_path: Path) -> Callable[..., Path]:
    def alter(*pairs: tuple[str, str]) -> Path:
        text = RECIPE.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "recipe.yaml").write_text(text)
        return tmp_path / "recipe.yaml"

    return alter


@pytest.mark.parametrize(
    ("task", "code", "parts"),
    [
        ("faulty:nan_image", 3, ("task digits, split train: image 7 holds NaN", "repair or drop")),
        ("faulty:label_out_of_range", 3, ("label 10 at index 7", "expected 0 to 9")),
        ("faulty:empty_calibration", 3, ("split calibration: no images",)),
        ("faulty:no_task", 3, ("faulty:no_task", "returned str", "expected a compress.tasks.Task")),
        ("faulty:missing_file", 3, ("nowhere/images.gz: missing",)),
    ],
)
def test_bad_data(compress, altered, tmp_path: Path, task: str, code: int, parts: tuple[str, ...]) -> None:
    folder = tmp_path / "out"
    fails(compress("run", altered((TASK, task)), "-o", folder), code, *parts)
    assert not (folder / "manifest.json").exists()


def test_every_mistake_in_a_recipe_is_named_at_its_place(compress, altered) -> None:
    recipe = altered(
        ("temperature: 4", "temprature: 4"), ("seed: 0", "seed: no"), ("images: 64}\n\n", "images: 010, images: 3}\n\n")
    )
    finished = compress("run", recipe)
    assert finished.code == 2
    assert "did you mean 'temperature'?" in finished.err
    assert "recipe.yaml:3:7" in finished.err
    assert "images" in finished.err


def test_a_model_that_is_none(compress, altered, tmp_path: Path) -> None:
    recipe = altered((STUDENT, '"faulty:no_module"'))
    fails(
        compress("run", recipe, "-o", tmp_path / "out"), 3, "faulty:no_module: returned int; expected a torch.nn.Module"
    )


def test_a_model_that_raises(compress, altered, tmp_path: Path) -> None:
    recipe = altered((STUDENT, '"faulty:raises"'))
    fails(compress("run", recipe, "-o", tmp_path / "out"), 3, "faulty:raises: raised RuntimeError: no 10 today")


def test_constant_outputs_fail_outright(compress, altered, tiny_run: Path, tmp_path: Path) -> None:
    del tiny_run  # its teacher is in the store
    recipe = altered(
        (STUDENT, '"faulty:constant"'), ("[static_int8]", "[float32]"), ("student-int8", "student-float32")
    )
    finished = compress("run", recipe, "-o", tmp_path / "out")
    fails(finished, 3, "student-float32.onnx on host", "images get the same output")


def test_a_planted_regression_cannot_pass(compress, altered, tiny_run: Path, tmp_path: Path) -> None:
    """A student whose weights are shuffled when training ends: the files are fine, and the verdict is FAIL."""
    del tiny_run
    recipe = altered((STUDENT, '"faulty:shuffled"'), ("formats: [onnx, tflite]", "formats: [tflite]"))
    finished = compress("run", recipe, "-o", tmp_path / "out")
    assert finished.code == 1, finished.out + finished.err
    assert "FAIL" in finished.out
    assert "student-int8.tflite: accuracy" in finished.out


def test_a_budget_on_something_unmeasured_is_missing_and_blocks(compress, altered, tiny_run: Path) -> None:
    """A run of this recipe would measure it; that of digits.yaml did not."""
    recipe = altered(("cortex-a53", "cortex-a76"))
    finished = compress("gate", tiny_run, "--recipe", recipe)
    assert finished.code == 1
    assert "MISSING" in finished.out
    assert "no measurement of instructions on cortex-a76" in " ".join(finished.out.split())


def test_the_signals_end_with_their_own_codes(compress, altered, tmp_path: Path) -> None:
    for name, code, word in (("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")):
        recipe = altered((STUDENT, f'"faulty:interrupted", args: {{name: {name}}}'))
        fails(compress("run", recipe, "-o", tmp_path / "out"), code, word, "goes on where it stopped")
        assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_second_run_in_the_same_folder_is_refused(compress, tiny_home: Path, make_home, tmp_path: Path) -> None:
    del tiny_home
    home, folder = make_home(), tmp_path / "out"
    first = subprocess.Popen(
        command("run", RECIPE, "-o", folder),
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (home / "store" / "work").exists():
            assert first.poll() is None
            time.sleep(0.05)
        fails(compress("run", RECIPE, "-o", folder, home=home), 75, str(first.pid))
    finally:
        first.kill()
        first.wait()


def test_an_output_folder_that_cannot_be_written(compress, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    finished = compress("run", RECIPE, "-o", tmp_path / "file" / "out")
    fails(finished, 4, str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("name", "content", "code", "part"),
    [
        ("empty.onnx", b"", 3, "empty"),
        ("page.tflite", b"<!DOCTYPE html><html><body>404</body></html>", 3, "web page"),
        ("noise.onnx", bytes(range(256)) * 8, 3, "noise.onnx"),
        ("noise.tflite", bytes(range(256)) * 8, 3, "noise.tflite"),
        ("model.pt", b"x", 3, "expected .onnx, .ort or .tflite"),
    ],
)
def test_bench_on_what_is_no_model(compress, tmp_path: Path, name: str, content: bytes, code: int, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    fails(compress("bench", tmp_path / name), code, part)


@pytest.mark.parametrize("name", ["student-int8.onnx", "student-int8.tflite"])
def test_bench_on_a_truncated_model(compress, tiny_run: Path, tmp_path: Path, name: str) -> None:
    content = (tiny_run / "models" / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    fails(compress("bench", tmp_path / name), 3, name)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["runn"], "did you mean 'run'?"),
        (["run"], "missing argument 'recipe'"),
        (["bench", "x.onnx", "--seed", "-1"], "--seed"),
        (["gate", "--nope", "x"], "--nope"),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_a_wrong_command_line(compress, arguments: list[str], part: str) -> None:
    finished = compress(*arguments)
    fails(finished, 2)
    assert part in finished.err.lower()


def test_a_folder_that_no_run_wrote_is_left_alone(compress, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "precious.bin").write_text("mine")
    fails(compress("run", RECIPE, "-o", tmp_path), 2, str(tmp_path), "choose another with --output")
    assert (tmp_path / "models" / "precious.bin").read_text() == "mine"


def test_reports_do_not_launder_a_changed_model(compress, tiny_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_run, folder)
    (folder / "models" / "student-int8.tflite").write_bytes(b"changed")
    assert compress("report", folder).code == 0
    fails(compress("verify", folder), 3, "models/student-int8.tflite")
    (folder / "results.json").write_text((folder / "results.json").read_text().replace("FAIL", "PASS") + " ")
    fails(compress("gate", folder), 3, "results.json")


def test_bench_on_a_missing_file_and_an_unknown_target(compress, tiny_run: Path, tmp_path: Path) -> None:
    fails(compress("bench", tmp_path / "none.onnx"), 3, "none.onnx")
    fails(
        compress("bench", tiny_run / "models" / "student-int8.onnx", "-t", "cortex-a99"), 2, "cortex-a99", "cortex-a76"
    )


def test_without_emulator_and_devices_the_host_is_measured_and_they_are_missing(
    altered, tiny_run: Path, tiny_home: Path, tmp_path: Path
) -> None:
    """A machine without apt-get and ssh: the store is there, the ARM64 runtimes are not, and nothing can fetch them."""
    del tiny_run
    on_pi4 = "metric: latency_ms, artifact: student-int8.tflite, target: pi4, at_most: 1000"
    recipe = altered(
        ("benchmark:\n", "benchmark:\n  devices: [{name: pi4, ssh: pi@raspberry}]\n"),
        ("budgets:\n", f"budgets:\n  - {{{on_pi4}}}\n"),
    )
    home = tmp_path / "home"
    home.mkdir()
    (home / "store").symlink_to(tiny_home / "store")
    bare = {**environment(home), "PATH": "/nowhere"}
    done = subprocess.run(
        command("run", recipe, "-o", tmp_path / "out"),
        env=bare,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "ARM64 was not measured" in text
    assert "`ssh` was not found on PATH, expected it to reach pi4; install it. Budgets on pi4 are MISSING." in text
    assert "no measurement of latency_ms on pi4: it was measured on host (litert 2.3.0)" in text
    assert "MISSING" in text
    assert "student-int8.tflite: accuracy" in text
    doctor = subprocess.run(command("doctor"), env=bare, capture_output=True, text=True, timeout=60, check=False)
    assert "ARM64 runtimes" in doctor.stdout
    assert "ARM64 budgets are MISSING" in doctor.stdout
