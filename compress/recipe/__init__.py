"""The recipe: one strict YAML file that says everything about a run.

- `schema` is the recipe language: the keys, what they mean, their ranges and defaults; `models` is its part about
  teachers and students, `training` that about what they learn, `quantization` that about schemes, `variants` that about
  more files of them, `benchmark` that about measuring. Read them first.
- `load` turns a file into a `Recipe`, or into one error that names every mistake at file:line:column; how that is read
  and said, `compress.strict_yaml` holds.
- `callables` imports what a recipe names and checks its arguments; loading a recipe therefore runs code.
- `rules` hold what a type cannot say; `budget_rules` that a budget speaks of something that the run measures;
  `choice_rules` that `auto` has something to choose by.

After loading nobody re-checks a recipe: a `Recipe` that exists is right.
"""

from compress.recipe.benchmark import (
    Arm64Config,
    BenchmarkConfig,
    DeviceConfig,
    HostConfig,
    PhonesConfig,
    TimingConfig,
    VerifyConfig,
)
from compress.recipe.budgets import BudgetConfig
from compress.recipe.calls import Call, ModelCall, TaskCall
from compress.recipe.load import load_recipe
from compress.recipe.models import MoreTeacherConfig, NormalizeConfig, StudentConfig, TeacherConfig
from compress.recipe.quantization import QuantizeConfig, artifact_name
from compress.recipe.schema import Recipe
from compress.recipe.training import AugmentConfig, DistillConfig, FeatureConfig, TrainConfig
from compress.recipe.variants import Variant, has_variant, variant_name

__all__ = [
    "Arm64Config",
    "AugmentConfig",
    "BenchmarkConfig",
    "BudgetConfig",
    "Call",
    "DeviceConfig",
    "DistillConfig",
    "FeatureConfig",
    "HostConfig",
    "ModelCall",
    "MoreTeacherConfig",
    "NormalizeConfig",
    "PhonesConfig",
    "QuantizeConfig",
    "Recipe",
    "StudentConfig",
    "TaskCall",
    "TeacherConfig",
    "TimingConfig",
    "TrainConfig",
    "Variant",
    "VerifyConfig",
    "artifact_name",
    "has_variant",
    "load_recipe",
    "variant_name",
]
