"""`compress calibrate`: over ssh to this machine, which stands for a board, on a phone that is faked, and refused.

The networks are tiny ones, and their work is made up, so that each prediction is known.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

from compress import calibrate, rulers
from compress.cli import app
from compress.errors import CompressError, ToolError
from compress.quantize import StaticInt8
from compress.rulers import Ruler
from compress.targets import ssh
from compress.targets.addresses import DeviceOptions
from compress.targets.devices import find_device, load_devices
from compress.targets.latency.placement import Placement
from compress.targets.latency.rates import load_rates
from compress.targets.latency.work import Work
from tests.targets import ssh_server, tiny_models
from tests.targets.fake_phone import FakePhone

BOARD = {
    "processor": "cortex-a72 × 4",
    "architecture": "aarch64",
    "system": "Linux 6.1",
    "governor": "performance",
    "most_khz": "1500000",
}
"""A Raspberry Pi 4B."""


@pytest.fixture
def tiny_rulers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three networks of two files, of 28.4 million cycles each: 10 ms on a Pixel 4, but for what is not arithmetic."""
    files = {
        scheme: tiny_models.write_tflite(tmp_path / f"{scheme}.tflite", quantised=scheme == "static_int8")
        for scheme in rulers.SCHEMES
    }
    made = tuple(Ruler(network=name, scheme=s, file=f) for name in ("one", "two", "three") for s, f in files.items())
    work = Work(by_class={"fmla": 28.4e6}, lines=(0, 0), operators=0)
    monkeypatch.setattr(rulers, "make_rulers", lambda *_: made)
    monkeypatch.setattr(rulers, "count_rulers", lambda *_: (work,) * len(made))


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePhone:
    phone = FakePhone(tmp_path / "phone")
    monkeypatch.setenv("PATH", f"{phone.folder}:/usr/bin:/bin")
    return phone


@pytest.mark.usefixtures("tiny_rulers")
def test_a_phone_that_takes_longer_gets_its_factor(phone: FakePhone, tmp_path: Path) -> None:
    """Every file takes 14.5752 ms there and 10 in the model: nothing is left over."""
    file = tmp_path / "phones.yaml"
    file.write_text("# ours\ndevices:\n  Kiosk: {soc: RK3588}\n")
    options = ["-t", "adb", "--benchmark-model", str(phone.tool), "-o", str(file)]
    result = CliRunner().invoke(app, ["calibrate", "pixel 4", *options])
    assert result.exit_code == 0, result.output
    found = find_device("Pixel 4", load_devices(file)).find_calibration(1)
    assert found is not None
    assert (found.factor, found.spread, found.networks) == (1.4575, 1.0, 3)
    assert found.runtime.startswith("benchmark_model ")
    assert found.there == "adb, cortex-a55 × 4, cortex-a76 × 4, Android 13, Linux 4.14.276-g8ae7b4ca8564"
    assert file.read_text().startswith("# ours\ndevices:\n  Kiosk: {soc: RK3588}\n")
    assert "Pixel 4, 1 thread: × 1.458" in result.output
    far = load_rates().one_thread.far
    assert f"The 90 % interval is narrower: a factor of 1.000 to either side, {far:.3f} without." in result.output
    assert "governor there is schedutil" in result.output


@pytest.mark.usefixtures("tiny_rulers")
def test_over_ssh_it_is_the_clock_of_the_device(
    server: ssh_server.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its durations are made to be 5, 10 and 20 ms: residuals of a factor of 2, which narrow nothing."""
    monkeypatch.setenv("PATH", server.path)
    monkeypatch.setattr(ssh, "_describe_machine", lambda _: BOARD)
    real, durations = ssh.SshSession.time, iter((5, 5, 10, 10, 20, 20))

    def time(self: ssh.SshSession, *args: object, **options: int) -> tuple[int, ...]:
        assert all(0 < ns < 1e9 for ns in real(self, *args, **options))  # type: ignore[arg-type]
        assert options == {"warmup": calibrate.WARMUP, "n": calibrate.INFERENCES, "threads": 2}
        return (next(durations) * 1_000_000,)

    monkeypatch.setattr(ssh.SshSession, "time", time)
    file = tmp_path / "phones.yaml"
    options = ["-t", "ssh:board", "--python", sys.executable, "--threads", "2", "-o", str(file)]
    result = CliRunner().invoke(app, ["calibrate", "Raspberry Pi 4", *options])
    assert result.exit_code == 0, result.output
    found = find_device("Raspberry Pi 4", load_devices(file)).find_calibration(2)
    assert found is not None
    assert found.factor == pytest.approx(10 / (28.4 / 3), rel=1e-3)  # 28.4 million cycles on two cores of 1.5 GHz
    assert found.spread == pytest.approx(10.36, rel=1e-3)  # exp(2.920 * ln 2 * 1.1547)
    assert "Nothing narrows: " in result.output


def refuse(name: str, target: str, file: Path, options: DeviceOptions) -> str:
    with pytest.raises(CompressError) as caught:
        calibrate.calibrate(
            name, target, file, file.parent, threads=1, timeout_s=60, options=options, date="2026-11-25", say=print
        )
    assert not file.exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("Pixel 44", "adb:9A1X", "unknown device 'Pixel 44'; near names: Pixel 4"),
        ("Pixel 4", "host", "--target host: is no device; expected one of ssh:user@host, adb:SERIAL; name where"),
        ("Pixel 4", "adb:gone", "adb:gone: gone is not connected, these are: 9A1X; expected it in `adb devices`"),
        ("Raspberry Pi 4", "adb:9A1X", "the cores there are cortex-a55 × 4, cortex-a76 × 4, those of Raspberry Pi 4B"),
        ("Raspberry Pi 5", "adb:9A1X", "the highest clock there is 2.8416 GHz, that of Raspberry Pi 5 2.4; name the"),
    ],
)
def test_what_is_not_that_device_is_refused(
    phone: FakePhone, tmp_path: Path, name: str, target: str, message: str
) -> None:
    assert message in refuse(name, target, tmp_path / "phones.yaml", DeviceOptions(benchmark_model=phone.tool))


def test_a_machine_of_another_kind_is_refused(
    server: ssh_server.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", server.path)
    options = DeviceOptions(python=sys.executable)
    message = refuse("Raspberry Pi 4", "ssh:board", tmp_path / "phones.yaml", options)
    assert "a machine of x86_64 answers there, Raspberry Pi 4B is one of aarch64; name the device that" in message
    message = refuse("Raspberry Pi 4", "ssh:off", tmp_path / "phones.yaml", options)
    assert "ssh did not reach off: " in message


def test_without_an_emulator_nothing_is_written(
    phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(*_: object) -> None:
        raise ToolError("no apt-get")

    monkeypatch.setattr(rulers, "make_rulers", lambda *_: ())
    monkeypatch.setattr(rulers.arm64, "install", lack)
    options = DeviceOptions(benchmark_model=phone.tool)
    assert refuse("Pixel 4", "adb:9A1X", tmp_path / "phones.yaml", options) == "no apt-get"


def make_tiny(in_channels: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, classes))


def test_rulers_are_written_and_counted_once(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An A53 multiplies eight pairs of int8 a cycle at most, where it has no dot products."""
    for name in ("arm64", "arm64.lock"):
        (tmp_path / name).symlink_to(home / name)
    monkeypatch.setattr(rulers, "NETWORKS", {"tiny": (make_tiny, 16)})
    monkeypatch.setattr(rulers, "SCHEMES", {"static_int8": StaticInt8()})
    place = Placement(core="cortex-a53", ghz=(1.2,), shared_cache_kib=0, gb_per_s=3.6)
    said: list[str] = []
    made = rulers.make_rulers(tmp_path, said.append)
    works = rulers.count_rulers(made, place, tmp_path, said.append)
    assert works[0].by_class["mlal"] > (14 * 14 * 8 * 27 + 8 * 14 * 14 * 1000) / 8
    assert [line.split()[0] for line in said] == ["write", "count"]
    assert rulers.make_rulers(tmp_path, said.append) == made
    assert rulers.count_rulers(made, place, tmp_path, said.append) == works
    assert len(said) == 2
