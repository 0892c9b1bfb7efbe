"""More files of the same numbers, each made from one that torch wrote; then open and audit each, as those are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from compress.export import OPERATORS, derive
from compress.progress import Stage
from compress.recipe import Variant, has_variant, variant_name
from compress.stages.context import Run, Step, execute_step
from compress.stages.export import Exported, inspect_file, read_specs
from compress.types import Format


def derive_variants(run: Run, exported: Sequence[Exported]) -> tuple[Exported, ...]:
    """The recipe's variants of every file that has them."""
    return tuple(
        _derive(run, variant, source)
        for source in exported
        for variant in run.recipe.variants
        if has_variant(variant, source.artifact.precision, source.artifact.format)
    )


def note_unmade(run: Run, exported: Sequence[Exported]) -> tuple[str, ...]:
    """One sentence for each variant that what `auto` chose does not have."""
    made = {each.artifact.name for each in exported}
    wanted = [name for name in run.recipe.artifact_names() if not name.endswith(".safetensors")]
    return tuple(f"{name} was not made: what auto chose has no integers in it." for name in wanted if name not in made)


def _derive(run: Run, variant: Variant, source: Exported) -> Exported:
    name = variant_name(variant, source.artifact.name)
    fmt: Format = "ort" if variant == "ort" else source.artifact.format
    stored = f"model.{fmt}"
    step = Step(
        name="variant",
        title=f"write {name}",
        config={"variant": variant},
        inputs={"file": source.artifact.sha256},
        code=("compress.export", __name__),
        libraries=("onnx", "onnxruntime", "ai-edge-litert"),
    )

    def make(folder: Path, _: Stage) -> None:
        derive(variant, source.file, folder / stored)

    def summarize(folder: Path) -> str:
        return f"{(folder / stored).stat().st_size:,} bytes"

    result = execute_step(run, step, make, summarize)
    facts = inspect_file(run, name, result.path / stored, result.files[stored])
    artifact = dataclasses.replace(
        source.artifact,
        name=name,
        path=f"models/{name}",
        format=fmt,
        sha256=result.files[stored],
        size_bytes=(result.path / stored).stat().st_size,
        inputs=read_specs(facts["inputs"]),
        outputs=read_specs(facts["outputs"]),
        parent=source.artifact.sha256,
    )
    beside = {f"models/{Path(name).stem}.{OPERATORS}": result.path / OPERATORS} if variant == "ort" else {}
    return dataclasses.replace(
        source,
        artifact=artifact,
        file=result.path / stored,
        audit=facts["audit"],
        runtime=facts["runtime"],
        source=source,
        beside=beside,
    )
