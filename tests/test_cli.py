"""What the commands print around a run's own results."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compress import pipeline
from compress.cli import app
from compress.cli.run_command import _print_next
from compress.types import Results
from tests.report.example_results import example

RECIPE = Path(__file__).parents[1] / "pipelines" / "quickstart.yaml"


@pytest.fixture(autouse=True)
def _as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["compress"])


def advice(capsys: pytest.CaptureFixture[str], output: Path | None, results: Results) -> list[list[str]]:
    """The commands that are proposed, in words."""
    folder = output or Path("artifacts/quickstart")
    _print_next(folder, Path("my recipes/mine.yaml"), output, results)
    lines = capsys.readouterr().out.partition("Next:\n")[2].splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_the_next_commands_are_those_of_this_run(capsys: pytest.CaptureFixture[str]) -> None:
    gate, bench, run = advice(capsys, Path("my runs/one"), example())
    assert gate == ["gate", "my runs/one"]
    assert bench[:2] == ["bench", "my runs/one/models/student-int8.tflite"]
    assert run == ["run", "my recipes/mine.yaml", "-o", "my runs/one"]


def test_without_an_output_folder_or_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    bench, run = advice(capsys, None, dataclasses.replace(example(), verdicts=()))
    assert bench[0] == "bench"
    assert run == ["run", "my recipes/mine.yaml"]


def test_quiet_prints_the_verdict_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = example()
    monkeypatch.setattr(pipeline, "execute", lambda *_: results)
    quiet = CliRunner().invoke(app, ["run", str(RECIPE), "-o", str(tmp_path), "-q"])
    loud = CliRunner().invoke(app, ["run", str(RECIPE), "-o", str(tmp_path)])
    assert (quiet.exit_code, loud.exit_code) == (0, 0)
    kinds = {line.split()[0] for line in quiet.output.splitlines() if line}
    assert kinds == {"PASS", "WARNING"}
    assert {"artifact", "Next:"} <= {line.split()[0] for line in loud.output.splitlines() if line}


def test_devices_are_listed(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("devices: {Kiosk: {soc: RK3588}}\n")
    listed = CliRunner().invoke(app, ["devices", "--file", str(own)])
    names = {device["name"] for device in json.loads(CliRunner().invoke(app, ["devices", "--json"]).stdout)}
    lines = [line.rstrip() for line in listed.output.splitlines()]
    assert all(any(line.startswith(name) for line in lines) for name in names | {"Kiosk"})
    assert len(lines) == len(names) + 2
    assert max(map(len, lines)) <= 100
    assert "Pixel 3a" in names


def test_one_device_comes_with_its_sources() -> None:
    text = CliRunner().invoke(app, ["devices", "pixel-2"]).output
    one = json.loads(CliRunner().invoke(app, ["devices", "pixel-2", "--json"]).stdout)
    assert one["single_thread"] == {"core": "cortex-a73", "ghz": 2.4576}
    sources = [one["source"], one["memory"]["source"], *(cluster["observed_in"] for cluster in one["clusters"])]
    sources += [core["source"] for core in one["cores"].values()]
    assert all(source in " ".join(text.split()) for source in sources)
