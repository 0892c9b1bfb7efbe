"""The benchmark of the quickstart's student runs, and leaves what a reader of its JSON expects."""

import json
import os
from pathlib import Path

from tests import forked

ROOT = Path(__file__).parents[1]


def test_the_quick_form_runs(tmp_path: Path, fashion_mnist_folder: Path) -> None:
    script = ROOT / "benchmarks" / "distillation" / "quickstart_gain.py"
    places = {"COMPRESS_HOME": str(tmp_path), "COMPRESS_DATA": str(fashion_mnist_folder)}
    environment = {**os.environ, **places, "OMP_NUM_THREADS": "1"}
    done = forked.run(script, "--quick", "--output", tmp_path / "gain.json", environment=environment, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "taught - alone" in done.stdout
    found = json.loads((tmp_path / "gain.json").read_text())
    assert {"teacher", "alone", "taught"} <= found["trials"][0]["figures"].keys()
    assert len(found["summary"]["differences"]) == 1
