"""The recipe: one strict YAML file that says everything about a run.

- `schema` is the whole recipe language: the keys, what they mean, their ranges and defaults. Read it first.
- `load` turns a file into a `Recipe`, or into one error that names every mistake at file:line:column.
- `yaml_reader` and `scalars` read the YAML as it is written; PyYAML's own loader would read `1e-3` as text, `no` as
  false and `010` as 8.
- `callables` imports what a recipe names and checks its arguments; loading a recipe therefore runs code.
- `rules` hold what a type cannot say, such as that a budget speaks of an artifact that the recipe makes.
- `messages` says it to a person.

After loading nobody re-checks a recipe: a `Recipe` that exists is right.
"""

from compress.recipe.calls import Call, ModelCall, TaskCall
from compress.recipe.load import load_recipe
from compress.recipe.schema import (
    Arm64Config,
    AugmentConfig,
    BenchmarkConfig,
    BudgetConfig,
    DistillConfig,
    HostConfig,
    QuantizeConfig,
    Recipe,
    StudentConfig,
    TeacherConfig,
    TrainConfig,
    VerifyConfig,
    artifact_name,
)

__all__ = [
    "Arm64Config",
    "AugmentConfig",
    "BenchmarkConfig",
    "BudgetConfig",
    "Call",
    "DistillConfig",
    "HostConfig",
    "ModelCall",
    "QuantizeConfig",
    "Recipe",
    "StudentConfig",
    "TaskCall",
    "TeacherConfig",
    "TrainConfig",
    "VerifyConfig",
    "artifact_name",
    "load_recipe",
]
