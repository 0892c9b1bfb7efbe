"""tflite-runtime 2.14 agrees, fails, or is silently wrong: told apart on real files; MISSING where it is not there."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from rich.console import Console

from compress.errors import ToolError
from compress.gate import judge
from compress.progress import Progress
from compress.recipe import VerifyConfig
from compress.stages import emulate
from compress.stages.compatibility import try_tflite_runtime
from compress.stages.context import Run
from compress.stages.elsewhere import judge_old_runtime
from compress.stages.export import Exported
from compress.store import Store, file_sha256
from compress.targets import arm64, decode, encode, open_session, tflite_runtime
from compress.tasks.task import Split
from compress.types import Artifact, Budget
from tests.targets import tiny_models

IMAGES = 8
SPLIT = Split(name="test", images=tiny_models.images(IMAGES), labels=np.arange(IMAGES) % 10)


def write_hybrid(path: Path, version: int) -> Path:
    """The float network with int8 weights in its last layer, a scale for each class, and floats in and out of it.

    That is what converters write as FULLY_CONNECTED version 5, though runtimes know such scales from version 12 on.
    """
    content = tiny_models.write_tflite(path, quantised=False).read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (dense,) = (tensor for tensor in model.subgraphs[0].tensors if tensor.name == b"dense")
    steps = tiny_models.weights()["dense"]
    dense.type, dense.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
    dense.quantization.scale = (0.01 * 1.2 ** np.arange(len(steps))).astype(np.float32)
    dense.quantization.zeroPoint = np.zeros(len(steps), np.int64)
    model.buffers[dense.buffer].data = np.frombuffer(steps.tobytes(), np.uint8)
    model.operatorCodes[1].version = version
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


@pytest.fixture(scope="module")
def exported(home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    folder = tmp_path_factory.mktemp("models")
    files = [
        tiny_models.write_tflite(folder / "float.tflite", quantised=False),
        tiny_models.write_tflite(folder / "int8.tflite", quantised=True),
        write_hybrid(folder / "version-5.tflite", 5),
        write_hybrid(folder / "version-12.tflite", 12),
        tiny_models.write_onnx(folder / "float.onnx"),
    ]
    found = []
    with open_session("host", home) as host:
        for file in files:
            info = host.describe(file)
            artifact = Artifact(
                name=file.name, role="student", path=file.name, format=file.suffix[1:], sha256=file_sha256(file),
                precision="static_int8" if "int8" in file.name else "float32", size_bytes=file.stat().st_size,
                inputs=info.inputs, outputs=info.outputs,
            )  # type: ignore[arg-type]  # fmt: skip
            raw = host.run(file, encode(info.inputs[0], SPLIT.images))
            reference = decode(info.outputs[0], raw)
            found.append(
                Exported(
                    artifact=artifact, file=file, audit={}, runtime=info.runtime, reference=reference, quantization={}
                )
            )
    return found


@pytest.fixture
def make_run(tmp_path: Path, home: Path) -> Callable[..., Run]:
    """Makes runs that try these targets; all of them share a store."""
    store = Store(tmp_path / "store", print)

    def make(*targets: str) -> Run:
        recipe: Any = SimpleNamespace(verify=VerifyConfig(images=IMAGES, tflite_runtime=targets))
        task: Any = SimpleNamespace(test=SPLIT)
        progress = Progress(Console(file=io.StringIO(), width=200))
        return Run(recipe=recipe, task=task, store=store, home=home, progress=progress)

    return make


def test_the_float_network_is_computed_as_it_is_defined(home: Path, tmp_path: Path) -> None:
    """Oracle: NumPy, in float64."""
    site = tflite_runtime.install(home, print).site("host")
    file = tiny_models.write_tflite(tmp_path / "float.tflite", quantised=False)
    with open_session("host", home, site=site) as session:
        info = session.describe(file)
        outputs = session.run(file, encode(info.inputs[0], SPLIT.images))
    assert info.runtime == tflite_runtime.NAME
    np.testing.assert_allclose(outputs, tiny_models.compute(SPLIT.images), rtol=1e-4, atol=1e-2)


def test_each_file_has_its_outcome_on_each_target(
    make_run: Callable[..., Run], home: Path, exported: list[Exported], monkeypatch: pytest.MonkeyPatch
) -> None:
    arm64.install(home, print)
    run = make_run("host", "cortex-a53")
    tried, notes = try_tflite_runtime(run, exported)
    assert notes == ()
    measured = [judge_old_runtime(each, each.exported.reference) for each in tried]
    found = {(m.target, each.exported.artifact.name): m for m, each in zip(measured, tried, strict=True)}
    for target in ("host", "cortex-a53"):
        states = {name: m.details["state"] for (where, name), m in found.items() if where == target}
        assert states == {
            "float.tflite": "agrees",
            "int8.tflite": "agrees",
            "version-5.tflite": "silently wrong",
            "version-12.tflite": "fails",
        }
        assert "version '12'" in found[target, "version-12.tflite"].details["why"]
        assert found[target, "int8.tflite"].details["max_abs_difference"] <= 2 * tiny_models.OUTPUT_SCALE
        wrong = found[target, "version-5.tflite"]
        assert wrong.details["max_abs_difference"] > wrong.details["agreement"] >= 0
        assert {m.how for (where, _), m in found.items() if where == target} == {
            "native" if target == "host" else "emulated"
        }
    budget = Budget(metric="compatible", artifact="version-*", target="host", at_least=1)
    five, twelve = judge([budget], [each.artifact for each in exported], measured)
    assert (five.status, twelve.status) == ("FAIL", "FAIL")
    assert "silently wrong: logits up to" in five.reason
    assert "version '12'" in twelve.reason

    monkeypatch.setattr(emulate, "open_session", None)
    again, _ = try_tflite_runtime(run, exported)  # all is stored, what failed too
    assert [each.why for each in again] == [each.why for each in tried]


def test_without_it_its_budgets_are_missing(
    make_run: Callable[..., Run], exported: list[Exported], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ToolError("no registry; expected one; try again")

    monkeypatch.setattr(tflite_runtime, "install", fail)
    tried, (note,) = try_tflite_runtime(make_run("host"), exported)
    assert tried == ()
    assert note.startswith("tflite-runtime 2.14.0 was not tried on host: no registry")
    budget = Budget(metric="compatible", artifact="int8.tflite", at_least=1)
    (verdict,) = judge([budget], [exported[1].artifact], [])
    assert verdict.status == "MISSING"
