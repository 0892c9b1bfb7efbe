"""Quantise a trained model in torch and write it in each mobile format; then open each file and audit it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from compress.errors import SchemeError
from compress.export import export
from compress.export.audit import audit_in_child
from compress.progress import Stage
from compress.quantize import QuantizedGraph, Scheme, finish, quantize
from compress.recipe import artifact_name
from compress.recipe.quantization import FileFormat
from compress.recipe.quantization import Scheme as SchemeName
from compress.stages.context import Run, Step, execute_step
from compress.stages.trained import Trained
from compress.stages.tune import Tuned
from compress.store import CHECKPOINT, StageResult
from compress.targets import open_session
from compress.types import Artifact, Json, TensorSpec

REFERENCE, QUANTIZATION, REFUSAL = "reference.npy", "quantization.json", "refusal.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Exported:
    """One model file of the run.

    artifact: what it is.
    file: where it lies in the store.
    audit: of its graph.
    runtime: name and version of the runtime that opens it on the host.
    reference: float32 logits (n, classes) that torch computes for the first n test images.
    quantization: tensor -> scale and zero point, and what stayed in float, from the torch graph.
    source: the file that a variant is made from, which says the same as its `reference` and `quantization`.
    beside: other files that belong to it, by their paths in the run's folder.
    """

    artifact: Artifact
    file: Path
    audit: Json
    runtime: str
    reference: NDArray[np.float32]
    quantization: Json
    source: Exported | None = None
    beside: Mapping[str, Path] = field(default_factory=dict)


def export_model(
    run: Run,
    trained: Trained,
    scheme: Scheme,
    reference_images: int,
    tuned: Tuned | None = None,
    called: SchemeName | None = None,
) -> tuple[Exported, ...]:
    """One artifact per format of the recipe, from one quantised torch graph.

    Args:
        run: the run.
        trained: what to export.
        scheme: what to make of its numbers.
        reference_images: on how many test images torch computes what the files are held against.
        tuned: the weights that were trained for the scheme, where it trains.
        called: what the recipe calls the scheme, where that is not its own name.

    Raises:
        SchemeError: it does not suit the model; that is kept as files would be, for it may take minutes to find out.
    """
    role: Literal["teacher", "student"] = "teacher" if trained.role == "teacher" else "student"
    files = {fmt: f"model.{fmt}" for fmt in run.recipe.formats}  # no role: two roles may share a result

    def make(folder: Path, stage: Stage) -> None:
        example = torch.from_numpy(run.task.calibration.images[:1])
        try:
            graph = _quantize(run, trained, scheme, tuned, folder / CHECKPOINT, stage)
        except SchemeError as error:
            (folder / REFUSAL).write_text(json.dumps(str(error)))
            return
        with torch.no_grad():
            images = torch.from_numpy(run.task.test.images[:reference_images])
            np.save(folder / REFERENCE, graph.module(images).numpy())
        left = [{"node": node, "reason": reason} for node, reason in graph.left_in_float]
        (folder / QUANTIZATION).write_text(
            json.dumps({"parameters": graph.qparams, "left_in_float": left, "exempt": graph.exempt})
        )
        for done, (fmt, name) in enumerate(files.items()):
            stage.advance(done, len(files), fmt)
            export(graph.module, scheme.precision, fmt, folder / name, example)

    def summarize(folder: Path) -> str:
        if (folder / REFUSAL).exists():
            return "refused"
        return ", ".join(f"{fmt} {(folder / name).stat().st_size:,} bytes" for fmt, name in files.items())

    step = _describe_step(run, trained, scheme, reference_images, tuned, title=f"export {role} {scheme.precision}")
    result = execute_step(run, step, make, summarize)
    if REFUSAL in result.files:
        raise SchemeError(json.loads((result.path / REFUSAL).read_text()))
    names = {fmt: artifact_name(role, called or scheme.precision, fmt) for fmt in files}
    return tuple(_collect(run, trained, scheme, result, fmt, name, files[fmt]) for fmt, name in names.items())


def _quantize(
    run: Run, trained: Trained, scheme: Scheme, tuned: Tuned | None, checkpoint: Path, stage: Stage
) -> QuantizedGraph:
    if tuned:
        return finish(tuned.load(run), tuned.scheme)
    calibration = torch.from_numpy(run.task.calibration.images)
    return quantize(
        trained.load(run), calibration[:1], scheme, calibration, checkpoint=checkpoint, advance=stage.advance
    )


def _describe_step(
    run: Run, trained: Trained, scheme: Scheme, reference_images: int, tuned: Tuned | None, title: str
) -> Step:
    return Step(
        name="export",
        title=title,
        config={
            "model": trained.describe(),
            "scheme": {"precision": scheme.precision, **dataclasses.asdict(scheme)},
            "formats": list(run.recipe.formats),
            "reference_images": reference_images,
        },
        inputs={
            "weights": tuned.sha256 if tuned else trained.sha256,
            "student": trained.sha256,
            "calibration": run.task.calibration.sha256,
            "test": run.task.test.sha256,
        },
        code=(
            "compress.quantize",
            "compress.export",
            __name__,
            "compress.stages.trained",  # loads the model
            "compress.stages.tune",
            "compress.distill",  # whose Normalized becomes part of the file
            trained.call.module,
        ),
        libraries=(
            "torch",
            "onnx",
            "onnxscript",
            "onnxruntime",
            "litert-torch",
            "litert-converter",
            "ai-edge-quantizer",
        ),
    )


def _collect(
    run: Run, trained: Trained, scheme: Scheme, result: StageResult, fmt: FileFormat, name: str, stored: str
) -> Exported:
    """The artifact that the stage has left in the file `stored`."""
    file, sha256 = result.path / stored, result.files[stored]
    facts = inspect_file(run, name, file, sha256)
    artifact = Artifact(
        name=name,
        role=trained.role,
        path=f"models/{name}",
        format=fmt,
        precision=scheme.precision,
        sha256=sha256,
        size_bytes=file.stat().st_size,
        inputs=read_specs(facts["inputs"]),
        outputs=read_specs(facts["outputs"]),
        parent=trained.sha256,
    )
    return Exported(
        artifact=artifact,
        file=file,
        audit=facts["audit"],
        runtime=facts["runtime"],
        reference=np.load(result.path / REFERENCE),
        quantization=json.loads((result.path / QUANTIZATION).read_text()),
    )


def inspect_file(run: Run, name: str, file: Path, sha256: str) -> Json:
    """Inputs, outputs and runtime as the host's runtime reports them, and the audit of the graph."""
    step = Step(
        name="inspect",
        title=f"audit {name}",
        config={},
        inputs={"file": sha256},
        code=("compress.export.audit", "compress.runtimes", "compress.targets", __name__),
        libraries=("onnx", "onnxruntime", "ai-edge-litert"),
    )

    def make(folder: Path, _: Stage) -> None:
        with open_session("host", run.home) as session:
            info = session.describe(file)
        facts = {
            "inputs": [dataclasses.asdict(spec) for spec in info.inputs],
            "outputs": [dataclasses.asdict(spec) for spec in info.outputs],
            "runtime": info.runtime,
            "audit": audit_in_child(file),
        }
        (folder / "facts.json").write_text(json.dumps(facts, allow_nan=False))

    return json.loads((execute_step(run, step, make).path / "facts.json").read_text())


def weights_artifact(trained: Trained) -> Artifact:
    """The trained weights as an artifact, so that measurements of the torch model have something to name."""
    return Artifact(
        name=f"{trained.role}.safetensors",
        role=trained.role,
        path=f"models/{trained.role}.safetensors",
        format="safetensors",
        precision="float32",
        sha256=trained.sha256,
        size_bytes=trained.path.stat().st_size,
    )


def read_specs(raw: Json) -> tuple[TensorSpec, ...]:
    """Inputs or outputs as `inspect_file` gives them."""
    return tuple(TensorSpec(**{**spec, "shape": tuple(spec["shape"])}) for spec in raw)
