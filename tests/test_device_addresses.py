"""Devices that a command line names: measured by `bench`, looked at by `doctor`, refused where they are none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from compress.bench import bench_file
from compress.cli import app
from compress.doctor.runtimes import check_device, read_device
from compress.errors import RecipeError
from compress.targets.addresses import DeviceOptions, read_address
from tests.targets import ssh_server, tiny_models
from tests.targets.fake_phone import FakePhone


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePhone:
    phone = FakePhone(tmp_path / "phone")
    monkeypatch.setenv("PATH", f"{phone.folder}:/usr/bin:/bin")
    return phone


def test_bench_measures_on_devices(
    server: ssh_server.Server, phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{phone.folder}:{server.path}")
    file = tiny_models.write_tflite(tmp_path / "m.tflite", quantised=True)
    options = ["--python", sys.executable, "--benchmark-model", str(phone.tool), "--inferences", "8"]
    result = CliRunner().invoke(app, ["bench", str(file), "-t", "ssh:board", "-t", "adb", *options])
    assert result.exit_code == 0, result.output
    over_ssh, over_adb = (
        [line for line in result.output.splitlines() if line.startswith(target)] for target in ("ssh:board", "adb")
    )
    assert [line.split()[3].strip(",") for line in over_ssh] == ["p50", "p90", "p99"]
    assert all("litert 2.3.0" in line and "n=8" in line for line in over_ssh)
    (mean,) = over_adb
    assert "mean, 1 thread, n=30" in mean
    assert "14.575 ms" in mean


def test_doctor_looks_at_devices(server: ssh_server.Server, phone: FakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{phone.folder}:{server.path}")
    options = DeviceOptions(python=sys.executable, benchmark_model=phone.tool)
    found = [check_device(read_address(target, options, 60)) for target in ("ssh:board", "adb:9A1X", "ssh:off")]
    assert [finding.state for finding in found] == ["ok", "ok", "missing"]
    assert found[0].text.startswith("litert 2.3.0 and onnxruntime 1.32.0, ")
    assert found[1].text.startswith("Pixel 4, cortex-a55 × 4, cortex-a76 × 4, takes benchmark_model ")
    assert found[2].text.startswith("ssh did not reach off: ")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "ssh:-oProxyCommand=id",
            "--target ssh:-oProxyCommand=id: '-oProxyCommand=id' is no ssh destination, expected",
        ),
        ("ssh:", "--target ssh:: '' is no ssh destination"),
        ("ssh:pi:22", "'pi:22' holds a port, expected user@host"),
        ("adb", "--target adb: LiteRT's program for the phone is missing, expected --benchmark-model PATH; "),
        ("telnet:pi", "--target telnet:pi: unknown; expected one of host, cortex-a53"),
    ],
)
def test_what_is_no_target_is_refused(tmp_path: Path, target: str, message: str) -> None:
    file = tiny_models.write_onnx(tmp_path / "m.onnx")
    with pytest.raises(RecipeError) as caught:
        bench_file(file, (target,), tmp_path, inferences=1, threads=1, seed=0, timeout_s=60)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 22}, "--port: no target reads it; expected a target ssh:user@host beside it; add one, or leave"),
        ({"python": "python3.12"}, "--python: no target reads it; expected a target ssh:user@host beside it"),
        ({"benchmark_model": Path("b")}, "--benchmark-model: no target reads it; expected a target adb:SERIAL"),
    ],
)
def test_an_option_that_nothing_reads_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    file = tiny_models.write_onnx(tmp_path / "m.onnx")
    with pytest.raises(RecipeError, match=message):
        bench_file(
            file,
            ("host",),
            tmp_path,
            inferences=1,
            threads=1,
            seed=0,
            timeout_s=60,
            options=DeviceOptions(**options),
        )


def test_threads_that_no_target_has_are_refused(tmp_path: Path) -> None:
    file = tiny_models.write_onnx(tmp_path / "m.onnx")
    with pytest.raises(RecipeError, match=r"--threads 4: no target reads it, .* expected host or a device beside it"):
        bench_file(file, ("cortex-a53",), tmp_path, inferences=1, threads=4, seed=0, timeout_s=60)


def test_doctor_refuses_an_option_that_nothing_reads() -> None:
    result = CliRunner().invoke(app, ["doctor", "--port", "22"])
    assert isinstance(result.exception, RecipeError)
    assert str(result.exception).startswith("--port: no target reads it")


def test_doctor_takes_devices_alone() -> None:
    with pytest.raises(RecipeError, match="--target host: is no device; expected ssh:user@host, adb:SERIAL"):
        read_device("host", DeviceOptions())
