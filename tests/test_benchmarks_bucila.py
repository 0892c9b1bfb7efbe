"""The quick form runs to its end and writes what it found."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "distillation" / "bucila.py"


def test_quick_form(tmp_path: Path) -> None:
    output = tmp_path / "bucila.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COMPRESS_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = json.loads(output.read_text())
    assert len(written["trials"]) == 2
    assert set(written["summary"]["rmse"]) == {trial["settings"]["problem"] for trial in written["trials"]}
    assert all(0 < error < 1 for row in written["summary"]["rmse"].values() for error in row.values())
    assert written["summary"]["cost_ratios"]["megabytes"] > 1
