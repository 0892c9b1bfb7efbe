"""LiteRT's own program on a phone: what it is told, what is read from it, and every way to fail."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_phone import DOCUMENTED, FakePhone

from compress.errors import ConnectionLost, ModelError, ToolError
from compress.measure.comparison import Reference
from compress.measure.latency import Baseline, tool_latency
from compress.targets import adb
from compress.targets.adb import AdbDevice, Phone
from compress.targets.benchmark_model import parse_output

Plug = Callable[..., tuple[FakePhone, AdbDevice]]


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Connects a phone that answers as told, and says how it is reached."""

    def plug_in(serial: str = "9A1X", **changes: Any) -> tuple[FakePhone, AdbDevice]:
        phone = FakePhone(tmp_path / "phone", **changes)
        monkeypatch.setenv("PATH", f"{phone.folder}:{os.environ['PATH']}")
        return phone, AdbDevice(name="pixel", serial=serial, benchmark_model=phone.tool)

    return plug_in


def test_the_documented_output_is_read() -> None:
    run = parse_output(DOCUMENTED)
    assert (run.inferences, run.init_ms, run.mean_ms) == (30, 5.685, 14.5752)
    assert (run.least_ms, run.most_ms, run.std_ms, run.memory_mb) == (13.985, 16.12, 0.433, 8.62891)


def test_older_and_other_outputs_are_read() -> None:
    """Without the level before each line; with the percentiles of later versions; without memory; one inference."""
    older = DOCUMENTED.replace("INFO: ", "")
    assert parse_output(older) == parse_output(DOCUMENTED)
    later = DOCUMENTED.replace("std=433", "std=433 p5=13990 median=14570 p95=15500")
    assert parse_output(later) == parse_output(DOCUMENTED)
    bare = DOCUMENTED.partition("INFO: Note")[0].replace("avg=14575.2", "avg=1.45752e+06")
    assert (parse_output(bare).memory_mb, parse_output(bare).mean_ms) == (None, 1457.52)
    once = DOCUMENTED.replace(
        "count=30 first=14211 curr=14718 min=13985 max=16120 avg=14575.2 std=433", "count=1 curr=99"
    )
    assert (parse_output(once).inferences, parse_output(once).mean_ms, parse_output(once).std_ms) == (1, 0.099, 0)


@pytest.mark.parametrize(
    "text",
    ["", "STARTING!\n", DOCUMENTED.partition("Inference timings")[0], DOCUMENTED.replace("avg=14575.2", "avg=nan"),
     DOCUMENTED.replace("count=", "n="), DOCUMENTED.replace("avg=14575.2", "avg=0")],
)  # fmt: skip
def test_what_says_nothing_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"no line|are none"):
        parse_output(text)


def test_the_program_is_pushed_told_what_to_do_and_removed(plug: Plug, models: Path) -> None:
    phone, device = plug(serial="any")
    with Phone(device) as session:
        run = session.benchmark(models / "int8.tflite", threads=1, warmup=5, inferences=30)
        assert run == parse_output(DOCUMENTED)
        assert session.runtime == f"benchmark_model {hashlib.sha256(phone.tool.read_bytes()).hexdigest()[:12]}"
        assert session.machine == {
            "processor": "cortex-a55 × 4, cortex-a76 × 4",
            "cores": 8,
            "architecture": "aarch64",
            "system": "Android 13, Linux 4.14.276-g8ae7b4ca8564",
            "board": "Pixel 4",
            "governor": "schedutil",
            "most_khz": "1785600, 2419200, 2841600",
        }
    calls = phone.calls()
    folder = "/data/local/tmp/compress-aB3dE6"
    assert all(call[:2] == ["-s", "9A1X"] for call in calls[1:])
    assert ["-s", "9A1X", "push", str(models / "int8.tflite"), f"{folder}/model.tflite"] in calls
    (ran,) = (call[3] for call in calls if "--graph" in call[-1])
    assert ran == (
        f"cd {folder} && {{ ./benchmark_model --graph=model.tflite --num_threads=1 --warmup_runs=5 --warmup_min_secs=0"
        " --num_runs=30 --min_secs=0 --max_secs=120 --use_xnnpack=true 2>&1 & echo $! > pid; wait $!; }"
    )
    assert calls[-1][3] == f"rm -rf {folder}"


NOT_READY = [
    ({"devices": []}, r"pixel: 9A1X is not connected, none is; expected it in `adb devices`; plug it in"),
    ({"devices": [], "serial": "any"}, r"pixel: a phone is not connected, none is"),
    ({"devices": ["7B\tdevice"]}, r"pixel: 9A1X is not connected, these are: 7B; expected"),
    ({"devices": ["7B\tdevice", "8C\tdevice"], "serial": "any"}, r"2 devices are connected, .*name one: 7B, 8C"),
    ({"devices": ["9A1X\tunauthorized"]}, r"9A1X is listed as unauthorized, .*allow this computer's USB debugging"),
    ({"devices": ["9A1X\toffline"]}, r"9A1X is listed as offline, .*take it off the cable"),
    ({"devices": ["9A1X\tno permissions (user not in plugdev group)"]}, r"9A1X is listed as no permissions .*udev"),
    ({"push": [1, "adb: error: failed to copy: remote No space left on device"]},
     r"benchmark_model could not be pushed to /data/.* \(adb: error: .*No space left on device\).*free some space"),
    ({"shell": [("mktemp", 0, "WARNING: linker\n")]}, r"pixel: `mktemp` there printed 'WARNING: linker', expected"),
    ({"shell": [("mktemp", 1, "mktemp: Failed: Permission denied\n")]}, r"pixel: adb could not run `mktemp` there"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), NOT_READY)
def test_a_phone_that_is_not_ready_is_one_line(plug: Plug, changes: dict[str, Any], message: str) -> None:
    _, device = plug(**changes)
    with pytest.raises(ToolError, match=message) as caught:
        Phone(device)
    assert "\n" not in str(caught.value)


def test_without_adb_or_the_program(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    phone, device = plug()
    phone.tool.write_text("#!/bin/sh\n")
    with pytest.raises(ToolError, match=r"benchmark_model is no program for Android, .* links builds of it"):
        Phone(device)
    phone.tool.unlink()
    with pytest.raises(
        ToolError, match=r"benchmark_model cannot be read \(No such file or directory\), expected LiteRT"
    ):
        Phone(device)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match="`adb` was not found on PATH, expected it to reach pixel"):
        Phone(device)


FAILED = [
    ({"shell": [("--graph", 1, "INFO: STARTING!\nERROR: Failed to load model.tflite\nBenchmarking failed.\n")]},
     ModelError, r"int8.tflite on pixel under benchmark_model .*: ended with status 1: ERROR: Failed to load"),
    ({"shell": [("--graph", 126, "sh: ./benchmark_model: not executable: 32-bit ELF file\n")]},
     ModelError, r"status 126: .*not executable.* a program for this phone's processor"),
    ({"shell": [("--graph", 0, "usage: benchmark_model\n")]}, ToolError, r"what it printed cannot be read: no line"),
    ({"shell": [("--graph", 1, "adb: error: device '9A1X' not found\n")], "lost": True},
     ConnectionLost, r"pixel: 9A1X is gone, expected it to stay connected; nothing .* is kept"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "kind", "message"), FAILED)
def test_a_run_that_fails_is_one_line(
    plug: Plug, models: Path, changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    phone, device = plug(**changes)
    with Phone(device) as session, pytest.raises(kind, match=message) as caught:
        session.benchmark(models / "int8.tflite", threads=1, warmup=1, inferences=1)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert phone.calls()[-1][3].startswith("rm -rf /data/local/tmp/compress-")


def test_a_program_that_hangs_is_killed_on_the_phone(plug: Plug, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number that its shell wrote down: its own command line does not tell it from another one's."""
    monkeypatch.setattr(adb, "GRACE_S", -1)
    phone, device = plug(hangs=True)
    with (
        Phone(dataclasses.replace(device, timeout_s=1)) as session,
        pytest.raises(ModelError, match=r"int8.tflite on pixel under .*: did not finish within 1 s, expected it to"),
    ):
        session.benchmark(models / "int8.tflite", threads=1, warmup=1, inferences=1)
    assert phone.calls()[-2][3] == "kill -9 $(cat /data/local/tmp/compress-aB3dE6/pid)"


def test_it_runs_tflite_files_alone(plug: Plug, models: Path) -> None:
    _, device = plug()
    with Phone(device) as session, pytest.raises(ModelError, match=r"float.onnx on pixel: .* runs .tflite files"):
        session.benchmark(models / "float.onnx", threads=1, warmup=1, inferences=1)


def test_a_mean_is_no_median_and_has_no_samples() -> None:
    """Oracle: NumPy's weighted mean of the rounds, and the ratios of the rounds' means."""
    means, inferences = [2.0e6, 2.2e6, 2.1e6], [30, 30, 60]
    slow = Baseline(
        reference=Reference(against="teacher", sha256="t", name="teacher"), samples_ns=[[4.0e6], [4.4e6], [4.2e6]]
    )
    found = tool_latency(
        "a", means, inferences, runtime="benchmark_model 1", target="pixel", details={"threads": 1}, baseline=slow
    )
    assert found.value == pytest.approx(np.average([2.0, 2.2, 2.1], weights=inferences))
    assert (found.n, found.samples, found.how, found.details["statistic"]) == (120, (), "native", "mean")
    assert "p50" not in found.details
    assert found.interval is not None
    assert found.interval[0] < 2.0 < 2.2 < found.interval[1]
    assert found.details["speedup"]["value"] == pytest.approx(2)
    alone = tool_latency("a", means[:1], inferences[:1], runtime="b", target="pixel", details={})
    assert (alone.value, alone.interval) == (2.0, None)
