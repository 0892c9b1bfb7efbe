"""`compress run`: a recipe, from teacher to verdict."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compress.cli.console import open_console

if TYPE_CHECKING:
    from compress.types import Results


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
    console = open_console()
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
