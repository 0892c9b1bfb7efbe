"""The command line. Heavy imports live inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress import __version__
from compress.ending import run_to_end

if TYPE_CHECKING:
    from compress.types import Results

app = typer.Typer(
    name="compress",
    help="Distil, quantise and export models for phones, and prove that they are good enough to ship.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 pass, 1 gate failed, 2 usage or recipe error, 3 bad data or model, 4 environment or tool"
    " missing, 5 no verdict, 70 internal bug, 75 another run holds the lock, 130/143 interrupted.",
)

DevicePython = Annotated[str, typer.Option(help="Of ssh devices: the command of a Python there with the runtimes.")]
DevicePort = Annotated[int | None, typer.Option(min=1, max=65535, help="Of ssh devices, if not ~/.ssh/config's.")]
BenchmarkModel = Annotated[Path | None, typer.Option(help="Of adb devices: LiteRT's program for the phone, a file.")]
RunFolder = Annotated[Path, typer.Argument(help="A folder that `compress run` has written.", show_default=False)]


def _version(show: bool) -> None:
    if show:
        print(f"compress {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write. Default: artifacts/NAME of the recipe.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict alone.")] = False,
) -> None:
    """Run a recipe from teacher to verdict. What is already in the store is not computed again.

    Loading a recipe imports and calls the Python code that it names: run only recipes you trust.

    torchrun trains it in several processes: torchrun --nproc-per-node 2 -m compress run RECIPE.
    """
    from compress.distill import is_follower
    from compress.gate import exit_code
    from compress.home import default_home
    from compress.pipeline import execute, follow
    from compress.progress import Progress
    from compress.recipe import load_recipe
    from compress.report.terminal import render, render_verdicts
    from compress.run_folder import find_other_recipe

    loaded = load_recipe(recipe)
    folder = output if output is not None else Path("artifacts") / loaded.name
    console = _console()
    if is_follower():
        follow(loaded, default_home(), Progress(console, quiet=True))
        raise typer.Exit
    progress = Progress(console, quiet=quiet)
    if other := find_other_recipe(folder, loaded):
        progress.note(_replace(folder, other, recipe, output))
    try:
        results = execute(loaded, folder, default_home(), progress)
    finally:
        progress.close()
    if quiet:
        render_verdicts(results, console)
    else:
        render(results, console)
        _print_next(folder, recipe, output, results)
    raise typer.Exit(exit_code(results.verdicts))


def _replace(folder: Path, other: str, recipe: Path, output: Path | None) -> str:
    """What to say where another recipe's run is replaced; only who has named the folder may have meant that."""
    from compress.errors import RecipeError

    if output is None:
        raise RecipeError(
            f"{recipe}: its name is that of {other} too, whose run is in {folder}; expected a name of its own; change"
            f" it, or choose a folder with --output (-o {folder} replaces that run)"
        )
    return f"{folder} holds the run of {other}, which this one of {recipe} replaces"


def _print_next(folder: Path, recipe: Path, output: Path | None, results: Results) -> None:
    files = [artifact.path for artifact in results.artifacts if artifact.format in ("onnx", "tflite")]
    cores = [m.target for m in results.measurements if m.metric == "instructions"]
    target = f" --target {cores[-1]}" if cores else ""
    program = Path(sys.argv[0])
    name = f"{sys.executable} -m compress" if program.name == "__main__.py" else os.path.relpath(program)
    again = ["run", str(recipe), *(["-o", str(output)] if output is not None else [])]
    lines = ["", f"Report   {folder / 'report.html'}", f"Models   {folder / 'models'}", "", "Next:"]
    if results.verdicts:
        lines.append(f"  {name} gate {shlex.quote(str(folder))}   # the verdict again, as an exit code")
    lines += [
        f"  {name} bench {shlex.quote(str(folder / files[-1]))}{target}   # any model file, on any target",
        f"  {name} {shlex.join(again)}   # after editing it: only what changed runs again",
    ]
    print("\n".join(lines))


@app.command()
def gate(
    folder: RunFolder,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Judge by this recipe's budgets, not by the run's own.")
    ] = None,
) -> None:
    """Judge what a run measured; the exit code is the verdict."""
    from compress.gate import exit_code, judge
    from compress.report.terminal import render_verdicts
    from compress.run_folder import check_artifacts, load_results

    results = load_results(folder)
    check_artifacts(folder, results)
    budgets = tuple(dict.fromkeys(verdict.budget for verdict in results.verdicts))
    if recipe is not None:
        from compress.recipe import load_recipe

        budgets = load_recipe(recipe).budgets
    verdicts = judge(budgets, results.artifacts, results.measurements)
    code = exit_code(verdicts)
    render_verdicts(dataclasses.replace(results, verdicts=verdicts), _console())
    raise typer.Exit(code)


@app.command()
def report(folder: RunFolder) -> None:
    """Draw report.html, report.md and junit.xml anew from a run's results.json."""
    from compress.run_folder import write_reports

    for path in write_reports(folder):
        print(path)


@app.command()
def compare(
    before: RunFolder,
    after: Annotated[Path, typer.Argument(help="The run whose changes are told.", show_default=False)],
) -> None:
    """Hold two finished runs against each other: files, accuracy image by image, sizes, instructions.

    Latencies are compared only where both come from one machine. Exit 5 if nothing can be compared.
    """
    from compress.measure.paired import paired_interval
    from compress.report.compare import compare_runs
    from compress.report.compare_terminal import render_comparison
    from compress.run_folder import load_results

    comparison = compare_runs(load_results(before), load_results(after), paired_interval)
    render_comparison(comparison, _console())


@app.command()
def verify(folder: RunFolder) -> None:
    """Check every file of a run against its manifest."""
    from compress.run_folder import verify_manifest

    count = verify_manifest(folder)
    print(f"{folder}: {count} files are what the manifest says")


@app.command()
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
    print_bench(result, _console(), as_json=as_json)


@app.command()
def devices(
    name: Annotated[str | None, typer.Argument(help="One, in full and with its sources.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="More of your own, as in a recipe.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the known phones and boards: chip, cores, clocks and memory."""
    from compress.devices import show_devices

    show_devices(name, file, _console(), as_json=as_json)


@app.command()
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
    print_calibration(outcome, output, _console())


@app.command()
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
        diagnose(default_home(), _console(), install=install, targets=tuple(target or ()), options=options)
    )


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100)


def main() -> None:
    """Entry point."""
    sys.path.append(str(Path.cwd()))  # so that a recipe finds the modules beside which the command is typed
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would call home and write into the user's cache folder
    run_to_end(app)
