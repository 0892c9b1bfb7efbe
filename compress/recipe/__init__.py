"""The recipe: one strict YAML file that says everything about a run.

- `schema` is the recipe language: the keys, what they mean, their ranges and defaults; `training` is its part about
  teachers and students, `quantization` the one about schemes. Read them first.
- `load` turns a file into a `Recipe`, or into one error that names every mistake at file:line:column.
- `yaml_reader` and `scalars` read the YAML as it is written; PyYAML's own loader would read `1e-3` as text, `no` as
  false and `010` as 8.
- `callables` imports what a recipe names and checks its arguments; loading a recipe therefore runs code.
- `rules` hold what a type cannot say; `budget_rules` that a budget speaks of something that the run measures.
- `messages` says it to a person.

After loading nobody re-checks a recipe: a `Recipe` that exists is right.
"""

from compress.recipe.budgets import BudgetConfig
from compress.recipe.calls import Call, ModelCall, TaskCall
from compress.recipe.load import load_recipe
from compress.recipe.quantization import QuantizeConfig, artifact_name
from compress.recipe.schema import (
    Arm64Config,
    BenchmarkConfig,
    HostConfig,
    Recipe,
    VerifyConfig,
)
from compress.recipe.training import (
    AugmentConfig,
    DistillConfig,
    FeatureConfig,
    MoreTeacherConfig,
    NormalizeConfig,
    StudentConfig,
    TeacherConfig,
    TrainConfig,
)

__all__ = [
    "Arm64Config",
    "AugmentConfig",
    "BenchmarkConfig",
    "BudgetConfig",
    "Call",
    "DistillConfig",
    "FeatureConfig",
    "HostConfig",
    "ModelCall",
    "MoreTeacherConfig",
    "NormalizeConfig",
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
