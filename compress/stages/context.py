"""What every stage of one run shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from compress.distill.world import ALONE, World
from compress.errors import CompressError, ModelError
from compress.progress import Progress, Stage
from compress.recipe import Call, Recipe
from compress.store import StageResult, Store, code_version
from compress.tasks import Task
from compress.types import Json


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One run of one recipe.

    world: the processes that train together; all of them go through the same steps, one of them uses the store.
    """

    recipe: Recipe
    task: Task
    store: Store
    home: Path
    progress: Progress
    world: World = ALONE


@dataclass(frozen=True, kw_only=True)
class Step:
    """What decides a stage's result: the store's key is made from this and nothing else.

    name: of the stage, e.g. `train`.
    title: for a person, e.g. `train the teacher`.
    config: the resolved settings.
    inputs: name -> sha256 of what it reads.
    code: packages and modules whose source decides the result. The stage's own module is one, because it decides how
        the work is asked for. What the recipe, the task or this module decide is in `config` and `inputs` already, and
        `progress` decides no number. Rooms are named whole: a file that somebody adds to one must count, and work done
        twice is a smaller loss than a stale result.
    libraries: distributions whose version changes the numbers.
    """

    name: str
    title: str
    config: Json
    inputs: Mapping[str, str]
    code: tuple[str, ...]
    libraries: tuple[str, ...]


def build_call(call: Call, **provided: object) -> object:
    """What a recipe's callable returns; its own errors become one line that names it.

    Args:
        call: from the recipe.
        provided: arguments that the pipeline supplies.

    Raises:
        ModelError: the callable raised.
        CompressError: the callable raised it on purpose.
    """
    with blame(call, expected="a result"):
        return call.build(**provided)


@contextmanager
def blame(call: Call, *, expected: str, what: str = "") -> Iterator[None]:
    """Let the errors of code that a recipe names become one line that says where it is named.

    sys.exit counts as an error: a script's habit, which would end the run with an exit code that reads as a verdict.

    Args:
        call: from the recipe.
        expected: of that code.
        what: which of its code runs, where it is not the callable itself, e.g. `the model`.

    Raises:
        ModelError: the code raised; a CompressError passes as it is, for it was raised on purpose.
    """
    try:
        yield
    except CompressError:
        raise
    except (Exception, SystemExit) as error:
        said = str(error).strip().splitlines()
        did = f"raised {type(error).__name__}: {said[0] if said else 'no message'}"
        if isinstance(error, SystemExit):
            did = f"called sys.exit({error.code!r})"
        wanted = "" if "expected" in did else f"; expected {expected}"  # the callable has said better what it wants
        subject = f"{what} {did}" if what else did
        raise ModelError(f"{call.where}: {subject}{wanted}; mend it or its args in the recipe") from error


def execute_step(
    run: Run,
    step: Step,
    make: Callable[[Path, Stage], None],
    summarize: Callable[[Path], str] | None = None,
    *,
    join: Callable[[Path], None] | None = None,
) -> StageResult:
    """The stage's files from the store, or made now.

    Args:
        run: the run it belongs to.
        step: its identity.
        make: writes the stage's files into a folder.
        summarize: one phrase about the finished files, for the progress line.
        join: what the other processes of a training do while the leader makes the files in that folder.
    """
    if not run.world.leads:
        return _follow(run, join)

    def tell_and_make(folder: Path) -> None:
        run.world.tell(folder)
        make(folder, stage)

    versions = {name: version(name) for name in step.libraries}
    with run.progress.stage(step.title) as stage:
        result = run.store.stage(
            step.name,
            step.config,
            step.inputs,
            code_version(*step.code),
            versions,
            tell_and_make,
        )
        stage.cached = result.cached
        if summarize:
            stage.summary = summarize(result.path)
    run.world.tell(result)
    return result


def _follow(run: Run, join: Callable[[Path], None] | None) -> StageResult:
    """Take part in what the leader does until it has the result. The store's folder is one that all can read."""
    while not isinstance(news := run.world.hear(), StageResult):
        if join:
            join(news)
    return news
