"""The benchmark of quantisation runs in its quick form: the figures mean nothing, the rows and the JSON do."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests import forked

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "quantization" / "efficientnet.py"


def test_efficientnet(tmp_path: Path) -> None:
    output = tmp_path / "efficientnet.json"
    environment = {**os.environ, "COMPRESS_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = forked.run(SCRIPT, "--quick", "--output", output, environment=environment, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(output.read_text())["rows"]
    ours = [row for row in rows if row["name"].startswith("ours")]
    assert len({row["name"] for row in ours}) == 3
    assert len(rows) - len(ours) == 6
    assert {row["runs_in"] for row in rows} == {"torch", "ONNX Runtime", "LiteRT"}
    assert all(row["sqnr_db"] > 5 for row in ours)
    repaired = [row for row in ours if row["name"] == "ours, rounding, bias_correction"]
    assert len(repaired) == 3
    assert max(row["sqnr_db"] for row in repaired) - min(row["sqnr_db"] for row in repaired) < 1  # the same integers
