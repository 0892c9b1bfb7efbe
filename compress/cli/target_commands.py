"""Commands about what models run on: measure a file there, list and calibrate devices, look at this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.console import open_console
from compress.cli.parameters import BenchmarkModel, DevicePort, DevicePython


def bench(
    file: Annotated[Path, typer.Argument(help="A model file, .onnx, .ort or .tflite.", show_default=False)],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "-t",
            help="host, an emulated core such as cortex-a76, ssh:user@host, adb:SERIAL, or adb for the one phone that"
            " is connected; may be repeated.",
        ),
    ] = None,
    inferences: Annotated[int, typer.Option(min=1, help="Timed inferences on the host and on devices.")] = 100,
    threads: Annotated[int, typer.Option(min=1, help="Threads on the host and on devices.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the random input.")] = 0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one job on one target may take.")] = 600,
    as_json: Annotated[bool, typer.Option("--json", help="Print measurements as JSON.")] = False,
    python: DevicePython = "python3",
    port: DevicePort = None,
    benchmark_model: BenchmarkModel = None,
) -> None:
    """Audit and measure any model file: latency on the host and on devices, exact instructions on ARM64 cores."""
    from compress.bench import bench_file
    from compress.bench_print import print_bench
    from compress.home import default_home
    from compress.targets.addresses import DeviceOptions

    result = bench_file(
        file,
        tuple(target or ["host"]),
        default_home(),
        inferences=inferences,
        threads=threads,
        seed=seed,
        timeout_s=timeout,
        options=DeviceOptions(python=python, port=port, benchmark_model=benchmark_model),
    )
    print_bench(result, open_console(), as_json=as_json)


def devices(
    name: Annotated[str | None, typer.Argument(help="One, in full and with its sources.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="More of your own, as in a recipe.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the known phones and boards: chip, cores, clocks and memory."""
    from compress.devices import show_devices

    show_devices(name, file, open_console(), as_json=as_json)


def calibrate(
    name: Annotated[str, typer.Argument(help="The phone or board: one of `compress devices`.", show_default=False)],
    target: Annotated[str, typer.Option("--target", "-t", help="Where it is: ssh:user@host, adb:SERIAL, or adb.")],
    threads: Annotated[int, typer.Option(min=1, help="Threads of an inference; each number is calibrated alone.")] = 1,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file of devices that it is added to, as in a recipe.")
    ] = Path("phones.yaml"),
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one job on the device may take.")] = 120,
    python: DevicePython = "python3",
    port: DevicePort = None,
    benchmark_model: BenchmarkModel = None,
) -> None:
    """Time a few networks on a device: its predicted latencies are then those of this device, with its own interval."""
    import datetime

    from compress.calibrate import calibrate as calibrate_device
    from compress.calibrate_print import print_calibration
    from compress.home import default_home
    from compress.targets.addresses import DeviceOptions

    outcome = calibrate_device(
        name,
        target,
        output,
        default_home(),
        threads=threads,
        timeout_s=timeout,
        options=DeviceOptions(python=python, port=port, benchmark_model=benchmark_model),
        date=datetime.date.today().isoformat(),
        say=lambda text: print(text, file=sys.stderr),
    )
    print_calibration(outcome, output, open_console())


def doctor(
    install: Annotated[
        bool, typer.Option("--install", help="Also fetch what is missing: the data and the ARM64 runtimes.")
    ] = False,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", help="Also look at a device: ssh:user@host, adb:SERIAL; may be repeated."),
    ] = None,
    python: DevicePython = "python3",
    port: DevicePort = None,
    benchmark_model: BenchmarkModel = None,
) -> None:
    """Say what this machine has, what is missing, and what still works without it."""
    from compress.doctor import diagnose
    from compress.home import default_home
    from compress.targets.addresses import DeviceOptions

    options = DeviceOptions(python=python, port=port, benchmark_model=benchmark_model)
    raise typer.Exit(
        diagnose(default_home(), open_console(), install=install, targets=tuple(target or ()), options=options)
    )
