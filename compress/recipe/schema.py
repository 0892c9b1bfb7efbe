"""The recipe language: every key, what it means, its range and its default. pipelines/quickstart.yaml shows it in use.

Each class is one mapping of the file; a field without a default is a required key. Types are strict (`5.0` is no whole
number, `5` is no text), unknown keys are errors, and nothing can be changed after loading.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from compress.recipe.benchmark import BenchmarkConfig, VerifyConfig, tries_something
from compress.recipe.budget_rules import Plan, PlannedDevice
from compress.recipe.budgets import BudgetConfig, read_budget
from compress.recipe.calls import TaskCall, calls_in
from compress.recipe.choice_rules import find_choice_faults
from compress.recipe.models import MoreTeacherConfig, StudentConfig, TeacherConfig, nobody_is_idle
from compress.recipe.phones import predictable_phones
from compress.recipe.quantization import FileFormat, QuantizeConfig, Role, Scheme, artifact_name
from compress.recipe.rules import distinct, readable_devices, run_name
from compress.recipe.variants import Variant, has_variant, makeable, variant_name
from compress.strict_yaml import Part, Source, dotted
from compress.types import Budget, Json

if TYPE_CHECKING:
    from compress.targets.devices import Device


def _distinct_schemes(entries: tuple[QuantizeConfig, ...]) -> tuple[QuantizeConfig, ...]:
    distinct([entry.scheme for entry in entries])
    return entries


def _check_budget(written: Json, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> BudgetConfig:
    plan = _plan(info.data)
    return read(written) if plan is None else read_budget(written, read, plan)


def _plan(data: Mapping[str, Any]) -> Plan | None:
    """What the recipe makes and measures; None where mistakes in it come first."""
    made_of = ("student", "quantize", "formats", "more_teachers", "variants")
    if not {*made_of, "verify", "benchmark"} <= data.keys():
        return None
    benchmark: BenchmarkConfig = data["benchmark"]
    return Plan(
        names=_artifact_names(*(data[key] for key in made_of)),
        formats=data["formats"],
        variants=_variant_names(data["quantize"], data["formats"], data["variants"]),
        tflite_runtime=data["verify"].tflite_runtime,
        rounds=benchmark.host.rounds if benchmark.host else None,
        cores=benchmark.arm64.cores if benchmark.arm64 else (),
        phones=benchmark.phones.names if benchmark.phones else (),
        devices={
            device.name: PlannedDevice(rounds=device.rounds, gives_outputs=device.ssh is not None)
            for device in benchmark.devices or ()
        },
        compare_alone=data["student"].compare_alone,
    )


def _artifact_names(
    student: StudentConfig,
    quantize: tuple[QuantizeConfig, ...],
    formats: tuple[FileFormat, ...],
    more_teachers: tuple[MoreTeacherConfig, ...],
    variants: tuple[Variant, ...],
) -> tuple[str, ...]:
    """Model files first, then their variants, then the trained weights."""
    files = [artifact_name(role, scheme, file_format) for role, scheme, file_format in _files(quantize, formats)]
    files += _variant_names(quantize, formats, variants)
    trained = ["teacher", "student", *(["student_alone"] if student.compare_alone else [])]
    trained += [f"teacher_{number}" for number, more in enumerate(more_teachers, start=2) if more.model]
    trained += [f"student_generation_{n}" for n in range(1, student.distill.generations if student.distill else 1)]
    return (*files, *(f"{role}.safetensors" for role in trained))


def _variant_names(
    quantize: tuple[QuantizeConfig, ...], formats: tuple[FileFormat, ...], variants: tuple[Variant, ...]
) -> tuple[str, ...]:
    return tuple(
        variant_name(variant, artifact_name(role, scheme, file_format))
        for role, scheme, file_format in _files(quantize, formats)
        for variant in variants
        if has_variant(variant, scheme, file_format)
    )


def _files(
    quantize: tuple[QuantizeConfig, ...], formats: tuple[FileFormat, ...]
) -> tuple[tuple[Role, Scheme, FileFormat], ...]:
    """The model files that a run writes from torch."""
    graphs: list[tuple[Role, Scheme]] = [("teacher", "float32"), *(("student", entry.scheme) for entry in quantize)]
    return tuple((role, scheme, file_format) for role, scheme in graphs for file_format in formats)


class Recipe(Part):
    """The whole file.

    name: what the run is called, and its folder.
    devices_file: the key `devices`, a file of devices beside those that ship, relative to the recipe.
    teacher: may be left out where the student brings `weights`: that model, in float32, is then the baseline.
    more_teachers: teach the student together with `teacher`; they are not exported.
    quantize, formats: the student is written in every scheme and format.
    variants: more files, each made from one of those. ort: ONNX Runtime's own format, optimised for ARM64, and what a
        reduced build must hold for it; of every .onnx file. unsigned: uint8 in place of int8, for applications on x86;
        float_io: float32 in and out of an int8 .tflite file.
    budget_configs: the key `budgets`; the rest of the program wants `budgets` below.
    """

    name: Annotated[str, AfterValidator(run_name)]
    seed: int = Field(default=0, ge=0, lt=2**32)
    devices_file: Annotated[str, AfterValidator(readable_devices)] | None = Field(default=None, alias="devices")
    task: TaskCall
    teacher: TeacherConfig | None = None
    more_teachers: tuple[MoreTeacherConfig, ...] = ()
    student: Annotated[StudentConfig, AfterValidator(nobody_is_idle)]
    quantize: Annotated[tuple[QuantizeConfig, ...], AfterValidator(_distinct_schemes)]
    formats: Annotated[tuple[FileFormat, ...], AfterValidator(distinct)]
    variants: Annotated[tuple[Variant, ...], AfterValidator(makeable)] = ()
    verify: Annotated[VerifyConfig, AfterValidator(tries_something)] = VerifyConfig()
    benchmark: Annotated[BenchmarkConfig, AfterValidator(predictable_phones)] = BenchmarkConfig()
    budget_configs: tuple[Annotated[BudgetConfig, WrapValidator(_check_budget)], ...] = Field(
        default=(), alias="budgets"
    )

    _source: Source = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Remember the file, which the loader passes as the validation's context; each call learns its place in it."""
        if not isinstance(context, Source):
            raise TypeError("a recipe is made by load_recipe, which knows its file")
        self._source = context
        for loc, call in calls_in(self):
            place = context.places[loc]
            call.learn_place(f"{context.path}:{place.line}:{place.column}: {dotted(loc)}")

    @model_validator(mode="after")
    def _gives_auto_something_to_choose_by(self) -> Recipe:
        if faults := find_choice_faults(self.quantize, self.formats, self.budgets):
            raise ValidationError.from_exception_data("recipe", faults)
        return self

    @property
    def path(self) -> Path:
        """The file, as the user named it."""
        return self._source.path

    @property
    def text(self) -> str:
        """All that stands in the file."""
        return self._source.text

    @property
    def sha256(self) -> str:
        """Of the file's bytes."""
        return self._source.sha256

    @property
    def devices(self) -> Mapping[str, Device]:
        """Phones and boards by name: those that ship, and those of the recipe's file."""
        from compress.targets.devices import load_devices

        return load_devices(self.path.parent / self.devices_file if self.devices_file else None)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """What the gate judges; each knows its line."""
        return tuple(
            Budget(**config.model_dump(), line=f"{self.path}:{self._source.places['budgets', index].line}")
            for index, config in enumerate(self.budget_configs)
        )

    def where(self, *loc: str | int) -> str:
        """`recipe.yaml:12:10: quantize[1]`, for messages about what stands there."""
        place = self._source.places[loc]
        return f"{self.path}:{place.line}:{place.column}: {dotted(loc)}"

    def artifact_names(self) -> tuple[str, ...]:
        """Every artifact that a run of this recipe makes: the model files, then the trained weights."""
        return _artifact_names(self.student, self.quantize, self.formats, self.more_teachers, self.variants)
