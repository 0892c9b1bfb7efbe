"""The quick form runs to its end and writes what it found."""

import json
import os
from pathlib import Path

from tests import forked

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "distillation" / "bucila.py"


def test_quick_form(tmp_path: Path) -> None:
    output = tmp_path / "bucila.json"
    environment = {**os.environ, "COMPRESS_HOME": str(tmp_path)}
    done = forked.run(SCRIPT, "--quick", "--output", output, environment=environment, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    written = json.loads(output.read_text())
    assert len(written["trials"]) == 2
    assert set(written["summary"]["rmse"]) == {trial["settings"]["problem"] for trial in written["trials"]}
    assert all(0 < error < 1 for row in written["summary"]["rmse"].values() for error in row.values())
    assert written["summary"]["cost_ratios"]["megabytes"] > 1
