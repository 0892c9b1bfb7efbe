"""What `auto` chose may have no variants; the run says so, since budgets on them are then MISSING."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from compress.recipe import has_variant, variant_name
from compress.stages.variants import note_unmade


def test_a_variant_that_the_choice_does_not_have_is_a_note() -> None:
    source = "student-auto.onnx"
    wanted = (source, variant_name("ort", source), variant_name("unsigned", source), "student.safetensors")
    run: Any = SimpleNamespace(recipe=SimpleNamespace(artifact_names=lambda: wanted))
    made: Any = [SimpleNamespace(artifact=SimpleNamespace(name=name)) for name in wanted[:2]]
    (note,) = note_unmade(run, made)
    assert note.startswith("student-auto-unsigned.onnx was not made: what auto chose")
    assert note_unmade(run, [*made, SimpleNamespace(artifact=SimpleNamespace(name=wanted[2]))]) == ()


def test_only_integers_have_the_variants_of_integers() -> None:
    found = {
        (variant, precision)
        for variant in ("unsigned", "float_io")
        for precision in ("float32", "float16", "static_int8", "mixed_int8", "dynamic_int8", "weight_only_int4")
        for fmt in ("onnx", "tflite")
        if has_variant(variant, precision, fmt)  # type: ignore[arg-type]
    }
    assert found == {
        *(("unsigned", precision) for precision in ("static_int8", "mixed_int8", "dynamic_int8")),
        *(("float_io", precision) for precision in ("static_int8", "mixed_int8")),
    }
