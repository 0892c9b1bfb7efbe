"""Every block of the zoo in both formats on both runtimes, against torch's simulation and against float torch.

Conversion costs more than all else, so blocks without float parts share files: side by side, one output each.
"""

from __future__ import annotations

import operator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import onnx_outputs, tflite_outputs
from numpy.typing import NDArray
from op_zoo import CASES, END, START, TABLE, Case, render
from torch import Tensor, fx, nn
from zoo_blocks import Block, inputs_of

from compress.errors import ModelError
from compress.export import export
from compress.export.audit import audit
from compress.quantize import QuantizedGraph, StaticInt8, quantize
from compress.quantize.capture import BufferTracer

PER_FILE = 12
CHECKED = 8  # inputs that every runtime runs
WHOLE = [case for case in CASES if not case.floats]
KINDS = list(dict.fromkeys(case.inputs for case in CASES))
GROUPS = [
    *(
        tuple(same[start : start + PER_FILE])
        for kind in KINDS
        for same in [[case for case in WHOLE if case.inputs == kind]]
        for start in range(0, len(same), PER_FILE)
    ),
    *((case,) for case in CASES if case.floats),
]


@cache
def quantized(case: Case) -> tuple[nn.Module, QuantizedGraph]:
    model, images = case.build(), inputs_of(case.inputs, 64)
    return model, quantize(model, images[:1], StaticInt8(), images)


def side_by_side(graphs: list[fx.GraphModule]) -> fx.GraphModule:
    """One graph with the outputs of all, which read the same input."""
    whole = fx.GraphModule(nn.Module(), fx.Graph(tracer_cls=BufferTracer), class_name="Zoo")
    image, outputs = whole.graph.placeholder("input"), []
    for number, graph in enumerate(graphs):
        copies: dict[fx.Node, fx.Node] = {}
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                copies[node] = image
            elif node.op == "get_attr":
                name = f"block_{number}_{node.target}"
                whole.register_buffer(name, operator.attrgetter(str(node.target))(graph))
                copies[node] = whole.graph.get_attr(name)
            elif node.op == "output":
                outputs.append(copies[node.args[0]])
            else:
                copies[node] = whole.graph.node_copy(node, copies.__getitem__)
    whole.graph.output(tuple(outputs))
    whole.recompile()
    return whole


def step(graph: fx.GraphModule, values: NDArray[np.float32]) -> float:
    """The step of the block's output; for a float output, an eight-bit step of its range."""
    (last,) = next(node for node in graph.graph.nodes if node.op == "output").args
    quantised = last.target is torch.ops.quantized_decomposed.dequantize_per_tensor.default
    return float(last.args[1]) if quantised else float(np.ptp(values)) / 255


def noise_db(expected: NDArray[Any], got: NDArray[Any]) -> float:
    """Signal to noise, in dB; capped where nothing differs."""
    noise = np.square(got.astype(float) - expected).sum()
    return float(10 * np.log10(np.square(expected.astype(float)).sum() / max(noise, 1e-12)))


@pytest.mark.parametrize("cases", GROUPS, ids=lambda cases: " | ".join(case.name for case in cases))
def test_blocks(cases: tuple[Case, ...], tmp_path: Path) -> None:
    images = inputs_of(cases[0].inputs, 64)[:CHECKED]
    for case in cases:
        graph = quantized(case)[1]
        assert [(where.split("(")[1].rstrip(")"), why) for where, why in graph.left_in_float] == list(case.floats)
    graphs = [quantized(case)[1].module for case in cases]
    module = graphs[0] if len(graphs) == 1 else side_by_side(graphs)
    for fmt, run in (("onnx", onnx_outputs), ("tflite", tflite_outputs)):
        file = tmp_path / f"zoo.{fmt}"
        export(module, "static_int8", fmt, file, images[:1])  # type: ignore[arg-type]
        report = audit(file)
        declared = getattr(cases[0], fmt) or (report["compute_ops"], report["compute_ops"])
        assert (report["int8_ops"], report["compute_ops"]) == declared, report["float_islands"]
        for case, got in zip(cases, run(file, images), strict=True):
            check(case, got, images, fmt)


def check(case: Case, got: NDArray[np.float32], images: Tensor, fmt: str) -> None:
    model, graph = quantized(case)
    with torch.no_grad():
        real, simulated = model(images).numpy(), graph.module(images).numpy()
    assert noise_db(real, simulated) > 25, case.name
    assert got.shape == simulated.shape, (case.name, fmt)
    difference = np.abs(got - simulated) / step(graph.module, simulated)
    assert difference.max() < 1.6, (
        case.name,
        fmt,
        difference.max(),
    )  # ties go either way, then the next layer reads them
    assert noise_db(real, got) > noise_db(real, simulated) - 3, (case.name, fmt)


def test_what_a_format_cannot_express_is_refused_by_name(tmp_path: Path) -> None:
    model = Block("image", lambda x: F.adaptive_max_pool2d(x, 3))
    graph = quantize(model, inputs_of("image", 1), StaticInt8(), inputs_of("image", 8))
    with pytest.raises(ModelError, match=r"adaptive_max_pool2d.*replace the operator or export to onnx only"):
        export(graph.module, "static_int8", "tflite", tmp_path / "zoo.tflite", inputs_of("image", 1))


def test_the_documented_table_is_this_one() -> None:
    written = TABLE.read_text().split(START)[1].split(END)[0]
    assert written == render(), "run: python tests/export/op_zoo.py"


def test_the_zoo_is_large() -> None:
    assert len(CASES) == len({case.name for case in CASES}) > 60
