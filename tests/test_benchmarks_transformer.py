"""The benchmark of transformers runs, in its quick form: the figures mean nothing, its rows and its JSON do."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests import forked

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "quantization" / "transformer.py"


def test_transformer(fashion_mnist_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "transformer.json"
    places = {"COMPRESS_HOME": str(tmp_path), "COMPRESS_DATA": str(fashion_mnist_folder)}
    environment = {**os.environ, **places, "OMP_NUM_THREADS": "1"}
    done = forked.run(SCRIPT, "--quick", "--output", output, environment=environment, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(output.read_text())["summary"]
    assert list(summary) == ["vision transformer"]
    for rows in summary.values():
        assert [(row["scheme"], row["format"]) for row in rows] == [
            (f"ours: {scheme}", fmt) for scheme in ("float32", "dynamic_int8") for fmt in ("onnx", "tflite")
        ]
        assert all(row["times_smaller"] > 2 and row["sqnr_db"] > 30 for row in rows if "int8" in row["scheme"])
