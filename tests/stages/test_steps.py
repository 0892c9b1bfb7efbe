"""What a stage's key takes in: a result must not outlive the code that made it."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compress import stages
from compress.quantize import Float32
from compress.stages import export as export_stage
from compress.stages.context import Step

FILES = sorted(Path(next(iter(stages.__path__))).glob("*.py"))
STEPS = [
    pytest.param(call, id=f"{file.stem}:{call.lineno}")
    for file in FILES
    for call in ast.walk(ast.parse(file.read_text()))
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Step"
]


@pytest.mark.parametrize("step", STEPS)
def test_a_steps_code_has_the_module_that_defines_it(step: ast.Call) -> None:
    (code,) = (keyword.value for keyword in step.keywords if keyword.arg == "code")
    assert "__name__" in {node.id for node in ast.walk(code) if isinstance(node, ast.Name)}, ast.unparse(code)


def test_the_steps_are_found() -> None:
    assert len(STEPS) >= 9


class _Asked(Exception):
    pass


def test_what_becomes_part_of_an_exported_file_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher's normalisation, compress.distill's Normalized, is exported with it."""

    def catch(_: Any, step: Step, *__: object) -> None:
        raise _Asked(step)

    monkeypatch.setattr(export_stage, "execute_step", catch)
    split = SimpleNamespace(sha256="")
    run: Any = SimpleNamespace(
        recipe=SimpleNamespace(formats=("onnx",)), task=SimpleNamespace(calibration=split, test=split)
    )
    trained: Any = SimpleNamespace(
        role="teacher", sha256="", describe=lambda: {}, call=SimpleNamespace(module="mine", path="mine:model")
    )
    with pytest.raises(_Asked) as asked:
        export_stage.export_model(run, trained, Float32(), 1)
    code = asked.value.args[0].code
    assert {"compress.distill", "compress.quantize", "compress.export", "mine"} <= set(code)
