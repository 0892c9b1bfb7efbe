"""Which source a user's callable is made of: its module, and the modules of the user's that this one imports.

Read, never imported: a key must cost milliseconds, and importing runs code. So an import that is computed at run time
(`importlib.import_module(name)`) is not seen.

- Followed: what lies outside the standard library and the installed distributions, and compress.models, which a user's
  model may be built from. Imports inside functions count: they run when the model is built.
- An installed distribution counts by its version: its files change with nothing else.
- A module brings the `__init__` of every package above it, because Python runs those too.
"""

from __future__ import annotations

import ast
import importlib.util
import pkgutil
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Literal

Owner = Literal["user", "installed", "python"]
FOLLOWED_OF_OURS = "compress.models"
INSTALLED_FOLDERS = frozenset({"site-packages", "dist-packages"})


def find_module(name: str) -> ModuleSpec | None:
    """The module's spec, None if there is none. importlib.util.find_spec would import the packages above it."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a running script: it has no spec
        return None
    full = top
    for part in rest:
        full = f"{full}.{part}"
        spec = _find_below(full, spec.submodule_search_locations or ()) if spec else None
    return spec


def _find_below(name: str, folders: Iterable[str]) -> ModuleSpec | None:
    """As PathFinder, which for a package without `__init__` asks for the imported package above it."""
    portions: list[str] = []
    for folder in folders:
        finder = pkgutil.get_importer(folder)
        found = finder.find_spec(name) if finder else None
        if found and found.loader:
            return found
        portions += (found.submodule_search_locations or ()) if found else ()
    if not portions:
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = portions
    return spec


def find_owner(name: str) -> Owner:
    """Whose a module is, by the folder that it lies in; one that does not exist is Python's: nothing to read."""
    spec = find_module(name.partition(".")[0])
    places = [*(spec.submodule_search_locations or ()), spec.origin] if spec else []
    places = [place for place in places if place and Path(place).is_absolute()]
    if not places:
        return "python"
    if INSTALLED_FOLDERS & set(Path(places[0]).parts):
        return "installed"
    library = {Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "platstdlib")}
    return "python" if library & set(Path(places[0]).resolve().parents) else "user"


def is_followed(name: str) -> bool:
    """Whether a module's imports are its user's, or those of a model of ours."""
    if name.partition(".")[0] == "compress":
        return f"{name}.".startswith(f"{FOLLOWED_OF_OURS}.")
    return find_owner(name) == "user"


def follow_imports(name: str) -> Iterator[tuple[str, bytes]]:
    """What a followed module is made of.

    Args:
        name: dotted name of a module for which `is_followed` holds.

    Yields:
        The dotted name and source of it and of every followed module that it reaches, and the name and version of every
        installed one that these import, in no particular order. Names that lead nowhere are left out.
    """
    seen: set[str] = set()
    owners: dict[str, Owner] = {}
    waiting = list(_with_parents(name))
    while waiting:
        current = waiting.pop()
        top = current.partition(".")[0]
        owner = owners[top] if top in owners else owners.setdefault(top, find_owner(top))
        if owner == "installed" and top != "compress":
            current = top
        if owner == "python" or current in seen or (top == "compress" and not is_followed(current)):
            continue
        seen.add(current)
        if owner == "installed" and top != "compress":
            yield top, _find_version(top).encode()
        elif (spec := find_module(current)) and spec.origin and Path(spec.origin).is_file():
            source = Path(spec.origin).read_bytes()
            yield current, source
            waiting += _find_imported(spec, source)


def _find_imported(spec: ModuleSpec, source: bytes) -> Iterator[str]:
    """Absolute names of all that a module may import, the packages above them included."""
    if spec.origin is None or not spec.origin.endswith(".py"):
        return
    for level, name in _read_imports(source):
        try:
            absolute = importlib.util.resolve_name("." * level + name, spec.parent)
        except ImportError:  # above the topmost package
            continue
        package, star, _ = absolute.partition(".*")
        yield from _with_parents(package)
        if star and is_followed(package) and (found := find_module(package)):  # its __all__ may name its modules
            yield from (f"{package}.{each.name}" for each in pkgutil.iter_modules(found.submodule_search_locations))


@cache
def _read_imports(source: bytes) -> tuple[tuple[int, str], ...]:
    """Level (the number of leading dots) and name of each import, both readings of `from package import name`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # it could not be imported either
        return ()
    found: dict[tuple[int, str], None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name): None for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            before = f"{node.module}." if node.module else ""
            found |= {(node.level, node.module or ""): None}
            found |= {(node.level, f"{before}{alias.name}"): None for alias in node.names}
    return tuple(found)


def _with_parents(name: str) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` for `a.b.c`."""
    parts = name.split(".")
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


def _find_version(top: str) -> str:
    """Version of the distribution that an import name comes from; empty if none says so."""
    try:
        return version(top)
    except PackageNotFoundError:  # the two names differ: yaml is of PyYAML
        return ", ".join(version(name) for name in sorted(set(_find_distributions().get(top, ()))))


_find_distributions = cache(packages_distributions)
