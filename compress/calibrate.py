"""Calibrates one device: times a few networks on it, predicts the same, and keeps what the predictions are off by.

The networks need torch, which is imported once the device is reached.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from compress.errors import RecipeError, ToolError
from compress.targets.adb import AdbDevice, Phone
from compress.targets.addresses import FORMS, DeviceOptions, is_address, read_address, refuse_idle_options
from compress.targets.device_file_write import write_calibration
from compress.targets.devices import Device, find_device, load_devices
from compress.targets.latency.calibration import Calibration, fit_factor
from compress.targets.latency.model import CALIBRATED_RUNTIME, Prediction, identify, predict
from compress.targets.latency.placement import Placement, place_threads
from compress.targets.latency.rates import CONFIDENCE, load_rates
from compress.targets.latency.work import Work
from compress.targets.processor import name_core
from compress.targets.ssh import SshDevice, open_device
from compress.types import Json

WARMUP, INFERENCES = 5, 25
CLOCK_TOLERANCE = 0.05
"""Share by which a clock may differ from its description: makers round, and what was observed is not the highest."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One file on the device: what the model says without a calibration, and the clock there."""

    network: str
    scheme: str
    work: Work
    predicted: Prediction
    measured_ms: float

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured_ms / self.predicted.ms


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was found, and what a reader must know of it, a sentence each."""

    calibration: Calibration
    timed: tuple[Timed, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Clock:
    """A device within reach; time_ms: of one inference of a file there."""

    machine: Json
    runtime: str
    time_ms: Callable[[Path], float]


def calibrate(
    name: str,
    target: str,
    file: Path,
    home: Path,
    *,
    threads: int,
    timeout_s: float,
    options: DeviceOptions,
    date: str,
    say: Callable[[str], None],
) -> Outcome:
    """Time a few networks on a device, and write its calibration into a file of devices.

    Args:
        name: of the device, one that ships or of the file.
        target: its address.
        file: of devices; made if it is not there.
        home: where the ARM64 runtimes and the networks are kept.
        threads: of an inference.
        timeout_s: for one job on the device.
        options: of its address.
        date: today's, as 2026-11-25.
        say: is told what takes long.

    Raises:
        RecipeError: an unknown device, no address, a file that is none of devices, or a device that is another one.
        ToolError: it is not reached or lacks the runtime, or the ARM64 runtimes cannot be had here.
    """
    device = find_device(name, load_devices(file if file.exists() else None))
    placement = place_threads(device, threads)
    if not is_address(target):
        raise RecipeError(f"--target {target}: is no device; expected one of {FORMS}; name where {device.name} is")
    address = read_address(target, options, timeout_s)
    refuse_idle_options(options, [address])
    with _reach(address, threads) as clock:
        if difference := _find_difference(device, clock.machine):
            raise RecipeError(f"--target {target}: {difference}; name the device that it is, or describe it in {file}")
        timed = _time(clock, placement, home, say)
    calibration = _fit(device, placement, timed, clock, target, date)
    write_calibration(file, calibration)
    return Outcome(calibration=calibration, timed=timed, notes=tuple(_list_notes(clock, timed, calibration.spread)))


@contextmanager
def _reach(address: SshDevice | AdbDevice, threads: int) -> Iterator[_Clock]:
    if isinstance(address, AdbDevice):
        with Phone(address) as phone:

            def ask(file: Path) -> float:
                return phone.benchmark(file, threads=threads, warmup=WARMUP, inferences=INFERENCES).mean_ms

            yield _Clock(machine=phone.machine, runtime=phone.runtime, time_ms=ask)
        return
    with open_device(address) as session:
        runtime = session.runtimes.get("litert", "none")
        if runtime.split()[0] != CALIBRATED_RUNTIME:
            wanted = f"ai-edge-litert=={version('ai-edge-litert')}"
            raise ToolError(
                f"{address.name}: the runtime for .tflite files there is {runtime}, expected LiteRT, whose kernels are"
                f" predicted; run `{address.python} -m pip install {wanted}` there"
            )

        def time(file: Path) -> float:
            from compress.rulers import draw_input

            sample = draw_input(session, file)
            return statistics.median(session.time(file, sample, warmup=WARMUP, n=INFERENCES, threads=threads)) / 1e6

        yield _Clock(machine=session.machine, runtime=runtime, time_ms=time)


def _find_difference(device: Device, machine: Json) -> str | None:
    """How a machine is not as the device is described, as far as it tells."""
    if machine["architecture"] not in ("aarch64", "arm64"):
        return f"a machine of {machine['architecture']} answers there, {device.name} is one of aarch64"
    processor, wanted = machine["processor"], name_core(device.core)
    if " × " in processor and "CPU part" not in processor and wanted not in processor:
        return f"the cores there are {processor}, those of {device.name} {wanted}"
    clocks = [int(khz) / 1e6 for khz in machine["most_khz"].split(", ") if khz.isdigit()]
    if clocks and abs(max(clocks) / device.first.ghz - 1) > CLOCK_TOLERANCE:
        return f"the highest clock there is {max(clocks):g} GHz, that of {device.name} {device.first.ghz:g}"
    return None


def _time(clock: _Clock, placement: Placement, home: Path, say: Callable[[str], None]) -> tuple[Timed, ...]:
    from compress.rulers import count_rulers, make_rulers

    rulers = make_rulers(home, say)
    works = count_rulers(rulers, placement, home, say)
    timed = []
    say("time them on the device")
    for ruler, work in zip(rulers, works, strict=True):
        predicted = predict(work, placement, f"{CALIBRATED_RUNTIME} {version('ai-edge-litert')}")
        ms = clock.time_ms(ruler.file)
        timed.append(Timed(network=ruler.network, scheme=ruler.scheme, work=work, predicted=predicted, measured_ms=ms))
    return tuple(timed)


def _fit(
    device: Device, placement: Placement, timed: Sequence[Timed], clock: _Clock, target: str, date: str
) -> Calibration:
    factor, spread = fit_factor(_group(timed), CONFIDENCE)
    return Calibration(
        device=device.name,
        threads=len(placement.ghz),
        factor=round(factor, 4),
        spread=round(spread, 4),
        networks=len({each.network for each in timed}),
        classes=tuple(dict.fromkeys(name for each in timed for name in each.work.by_class)),
        cycles=(min(each.work.cycles for each in timed), max(each.work.cycles for each in timed)),
        runtime=clock.runtime,
        there=f"{target}, {clock.machine['processor']}, {clock.machine['system']}",
        date=date,
        model=identify(placement, load_rates().rates),
    )


def _group(timed: Sequence[Timed]) -> list[list[float]]:
    names = dict.fromkeys(each.network for each in timed)
    return [[each.ratio for each in timed if each.network == name] for name in names]


def _list_notes(clock: _Clock, timed: Sequence[Timed], spread: float) -> Iterator[str]:
    before = min(each.predicted.high / each.predicted.ms for each in timed)
    if spread < before:
        yield f"The 90 % interval is narrower: a factor of {spread:.3f} to either side, {before:.3f} without."
    else:
        yield (
            f"Nothing narrows: the residuals scatter so that the 90 % interval is a factor of {spread:.3f} to either"
            f" side, {before:.3f} without a calibration. Predictions have the wider one; look for other work, heat or"
            " a sinking clock on the device, and calibrate again."
        )
    here = f"{CALIBRATED_RUNTIME} {version('ai-edge-litert')}"
    if clock.runtime.startswith(CALIBRATED_RUNTIME) and clock.runtime != here:
        yield f"The device has {clock.runtime}, what is counted here is {here}: the factor holds their difference."
    if clock.machine["governor"] not in ("performance", "unknown"):
        yield f"The clock's governor there is {clock.machine['governor']}: it may have sunk in between."
