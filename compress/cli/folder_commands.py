"""Commands on the folder of a finished run: judge it, draw its reports, hold it against another, check its files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.console import open_console
from compress.cli.parameters import RunFolder


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
    render_verdicts(dataclasses.replace(results, verdicts=verdicts), open_console())
    raise typer.Exit(code)


def report(folder: RunFolder) -> None:
    """Draw report.html, report.md and junit.xml anew from a run's results.json."""
    from compress.run_folder import write_reports

    for path in write_reports(folder):
        print(path)


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
    render_comparison(comparison, open_console())


def verify(folder: RunFolder) -> None:
    """Check every file of a run against its manifest."""
    from compress.run_folder import verify_manifest

    count = verify_manifest(folder)
    print(f"{folder}: {count} files are what the manifest says")
