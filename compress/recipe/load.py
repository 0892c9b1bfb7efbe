"""Reads a recipe, or says everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

from compress.recipe.schema import Recipe
from compress.strict_yaml import Wanted, load_part


def load_recipe(path: Path) -> Recipe:
    """Read, check and freeze a recipe. This imports the Python modules that it names.

    Args:
        path: a YAML file, at most 1 MiB of UTF-8; messages show it as it is given.

    Raises:
        RecipeError: one line `file:line:column: key: what is wrong` for each mistake, from top to bottom.
    """
    return load_part(path, Recipe, Wanted("a recipe", "see pipelines/"))
