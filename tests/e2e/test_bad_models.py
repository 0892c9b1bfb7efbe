"""Model files that crash, hang or starve their runtime, through `compress bench`: one line, and exit code 3."""

from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.parser
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator

from tests.e2e.conftest import Finished, fails
from tests.targets import tiny_models

HEAD = '<ir_version: 10, opset_import: ["": 20]> one (float[1,4] x) => (float[1,4] y)'
HANGING = """{
    times = Constant<value = int64 {1152921504606846976}>()
    go = Constant<value = bool {1}>()
    y = Loop<body = body (int64 i, bool c, float[1,4] a) => (bool d, float[1,4] b) {d = Identity(c) b = Neg(a)}>
        (times, go, x)
}"""
BIG = "{shape = Constant<value = int64[2] {1073741824, 4}>() y = Expand(x, shape)}"  # 16 GiB


def write(path: Path, body: str) -> Path:
    onnx.save(onnx.parser.parse_model(f"{HEAD} {body}"), path)
    return path


@pytest.fixture
def bench(compress: Callable[..., Finished], tmp_path: Path) -> Callable[..., Finished]:
    def run(file: Path, *arguments: str) -> Finished:
        return compress("bench", file, *arguments, home=tmp_path / "home")

    return run


def test_it_crashes(bench: Callable[..., Finished], tmp_path: Path) -> None:
    file = tiny_models.write_tflite(tmp_path / "crashing.tflite", quantised=True, dense=BuiltinOperator.SPLIT)
    fails(bench(file), 3, str(file), "the runtime crashed (SIGSEGV)", "export it again")


def test_it_hangs(bench: Callable[..., Finished], tmp_path: Path) -> None:
    file = write(tmp_path / "hanging.onnx", HANGING)
    fails(bench(file, "--timeout", "2"), 3, str(file), "did not finish within 2 s")


def test_it_eats_memory(bench: Callable[..., Finished], tmp_path: Path) -> None:
    """More than the limit of 8 GiB; nothing of it is ever used."""
    file = write(tmp_path / "big.onnx", BIG)
    fails(bench(file), 3, str(file), "Failed to allocate memory")


def test_it_is_whole(bench: Callable[..., Finished], tmp_path: Path) -> None:
    """The same route lets a good file pass."""
    finished = bench(write(tmp_path / "good.onnx", "{y = Neg(x)}"), "--inferences", "3")
    assert finished.code == 0, finished.err
    assert "n=3" in finished.out
