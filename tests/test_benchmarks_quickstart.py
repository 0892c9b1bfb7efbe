"""The benchmark of the quickstart's student runs, and leaves what a reader of its JSON expects."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_quick_form_runs(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "distillation" / "quickstart_gain.py"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--output", str(tmp_path / "gain.json")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "taught - alone" in done.stdout
    found = json.loads((tmp_path / "gain.json").read_text())
    assert {"teacher", "alone", "taught"} <= found["trials"][0]["figures"].keys()
    assert len(found["summary"]["differences"]) == 1
