"""Which budgets a run of the recipe could judge. One that it could not is a mistake, found before anything trains.

The table below repeats what `compress.stages.measurements` measures, as rules for the one who writes a recipe.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath

from pydantic_core import InitErrorDetails

from compress.recipe.file_rules import find_compatible_fault, find_ort_fault
from compress.recipe.rules import core_names
from compress.strict_yaml.wording import did_you_mean, refusal
from compress.types import FEWEST_ROUNDS, METRICS, MOST_SQNR_DB, Budget, Json

PREDICTED = "predicted_latency_ms"


@dataclass(frozen=True, kw_only=True)
class PlannedDevice:
    """rounds: of the latencies there; gives_outputs: whether more than the latency of .tflite files is measured."""

    rounds: int
    gives_outputs: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a recipe makes and measures.

    names: of every artifact.
    formats: of the model files, variants apart.
    variants: names of the files that are made from those.
    tflite_runtime: where it is tried.
    rounds: of the latencies on the host; None where they are not measured.
    cores: that are emulated.
    phones: that latencies are predicted for.
    devices: real ones, by name.
    compare_alone: whether a student is trained without the teacher.
    """

    names: tuple[str, ...]
    formats: Collection[str]
    variants: Collection[str]
    tflite_runtime: tuple[str, ...]
    rounds: int | None
    cores: tuple[str, ...]
    phones: tuple[str, ...]
    devices: Mapping[str, PlannedDevice]
    compare_alone: bool


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """host, cores: where it is measured of model files; weights: of which weights, a glob; interval: it has one."""

    host: bool = True
    cores: bool = False
    weights: str = ""
    interval: bool = True


_RULES: Mapping[str, _Rule] = {
    "accuracy": _Rule(cores=True, weights="*"),
    "macro_f1": _Rule(cores=True, weights="*"),
    "accuracy_drop": _Rule(weights="*"),
    "gap_recovered": _Rule(host=False, weights="student.safetensors"),
    "agreement": _Rule(weights="student.safetensors"),
    "max_abs_difference": _Rule(cores=True, interval=False),
    "sqnr_db": _Rule(cores=True, interval=False),
    "bit_exact": _Rule(cores=True, interval=False),
    "runs": _Rule(host=False, cores=True, interval=False),
    "compatible": _Rule(cores=True, interval=False),
    "executed_macs": _Rule(host=False, cores=True),
    "instructions": _Rule(host=False, cores=True),
}
"""Others are properties of model files (size, operators), or their latency: on the host, with an interval. Devices
measure the latency, and what is measured on the host as on cores."""


def find_faults(budget: Budget, plan: Plan) -> list[InitErrorDetails]:
    """Why no run of the recipe could judge it, at the key to blame: its names, else what is measured of them."""
    named = {"artifact": budget.artifact, "relative_to": budget.relative_to, "target": budget.target}
    if faults := find_name_faults(named, plan):
        return faults
    found = _find_limit_fault(budget)
    for key, pattern in (("artifact", budget.artifact), ("relative_to", budget.relative_to)):
        for name in _matches(pattern, plan) if pattern else ():
            found = found or _find_place_fault(budget, name, key, plan) or _find_interval_fault(budget, plan)
    return [_at(*found)] if found else []


def find_name_faults(written: Mapping[str, Json], plan: Plan) -> list[InitErrorDetails]:
    """A budget's globs match what the recipe makes, each match has one reference of its format, the target exists.

    Args:
        written: `artifact`, `relative_to` and `target`, of a budget that may be wrong otherwise.
        plan: of the recipe.
    """
    faults, found = [], {}
    for key in ("artifact", "relative_to"):
        pattern = written.get(key)
        if isinstance(pattern, str):
            found[key] = _matches(pattern, plan)
            if not found[key]:
                made = ", ".join(plan.names)
                faults.append(_at(key, f"{pattern!r} matches no artifact of this recipe; it makes {made}"))
    target, targets = written.get("target"), ("host", *core_names(), *plan.phones, *plan.devices)
    if isinstance(target, str) and target not in targets:
        faults.append(_at("target", f"unknown target {target!r}{did_you_mean(target, targets)}"))
    if faults or len(found) < 2:
        return faults
    for name in found["artifact"]:
        same_format = [other for other in found["relative_to"] if PurePath(other).suffix == PurePath(name).suffix]
        if len(same_format) != 1:
            seen = f"{len(same_format)}: {', '.join(same_format)}" if same_format else "none"
            pattern = written["relative_to"]
            return [_at("relative_to", f"expected one reference of {name}'s format, {pattern!r} matches {seen}")]
    return []


def _find_place_fault(budget: Budget, name: str, key: str, plan: Plan) -> tuple[str, str] | None:
    """Whether the metric is measured of this artifact, on that target."""
    metric, rule = budget.metric, _RULES.get(budget.metric, _Rule())
    if name.endswith(".safetensors"):
        if not fnmatchcase(name, rule.weights):
            return key, f"{metric} is not measured of {name}, the weights; name {_instead(rule)}"
        if budget.target not in (None, "host"):
            return "target", f"{name}, the weights, are not run on {budget.target}; leave target out"
    elif not rule.host and not rule.cores:
        return key, f"{metric} is not measured of {name}, a model file; name {rule.weights}"
    elif metric == "compatible":
        return find_compatible_fault(budget, name, key, plan.tflite_runtime)
    elif name.endswith(".ort") and (fault := find_ort_fault(budget, name, key)):
        return fault
    elif metric == PREDICTED or budget.target in plan.phones:
        return _find_phone_fault(budget, plan)
    elif device := plan.devices.get(budget.target or ""):
        return _find_device_fault(budget, name, key, rule, device)
    elif fault := _find_target_fault(budget, rule, plan):
        return fault
    if metric == "accuracy_drop" and name.startswith(("teacher-", "teacher.")):
        return key, f"accuracy_drop is what is lost against the teacher, and {name} is the teacher; name the student's"
    if metric == "gap_recovered" and not plan.compare_alone:
        return "metric", "gap_recovered needs a student that was trained alone; set student.compare_alone: true"
    lone = len(plan.formats) < 2 and name not in plan.variants
    if metric == "agreement" and not name.endswith(".safetensors") and lone:
        return "metric", f"agreement of {name} is with the other format, and formats lists one; add the other"
    return None


def _find_target_fault(budget: Budget, rule: _Rule, plan: Plan) -> tuple[str, str] | None:
    metric, target = budget.metric, budget.target
    measured = f"benchmark.arm64 measures on {', '.join(plan.cores)}" if plan.cores else "there is no benchmark.arm64"
    if target in (None, "host"):
        if not rule.host:
            key = "metric" if target is None else "target"
            return key, f"{metric} is measured on emulated cores alone; name one as target; {measured}"
        if metric == "latency_ms" and plan.rounds is None:
            return "metric", "latency_ms is not measured without benchmark.host; add it"
        return None
    if not rule.cores:
        return "target", f"{metric} is not measured on {target}; leave target out: it is measured on the host"
    if target not in plan.cores:
        return "target", f"nothing is measured on {target}: {measured}; add it to benchmark.arm64.cores"
    return None


def _find_phone_fault(budget: Budget, plan: Plan) -> tuple[str, str] | None:
    metric, target = budget.metric, budget.target
    if metric != PREDICTED:
        return "target", f"{metric} is not known of {target}, where nothing runs; name {PREDICTED}, or another target"
    if target in plan.phones:
        return None
    named = f"benchmark.phones names {', '.join(plan.phones)}" if plan.phones else "there is no benchmark.phones"
    return "metric" if target is None else "target", f"{PREDICTED} is for phones: name one as target; {named}"


def _find_device_fault(
    budget: Budget, name: str, key: str, rule: _Rule, device: PlannedDevice
) -> tuple[str, str] | None:
    metric, target = budget.metric, budget.target
    if metric == "latency_ms":
        if device.gives_outputs or name.endswith(".tflite") or key == "relative_to":  # whose format is the artifact's
            return None
        return "target", f"{name} is not run on {target}: benchmark_model runs .tflite files; name one of those"
    if not (rule.host and rule.cores):
        return "target", f"{metric} is not measured on {target}, a device; leave target out, or name a core"
    if not device.gives_outputs:
        return "target", f"{metric} is not measured on {target}: over adb, latency_ms alone is; leave target out"
    return None


def _find_interval_fault(budget: Budget, plan: Plan) -> tuple[str, str] | None:
    if budget.judge != "interval":
        return None
    if not _RULES.get(budget.metric, _Rule()).interval:
        return "judge", f"{budget.metric} has no interval; leave judge out, which judges the estimate"
    if budget.metric == "latency_ms":
        device = plan.devices.get(budget.target or "")
        rounds = device.rounds if device else plan.rounds
        if rounds is not None and rounds < FEWEST_ROUNDS:
            where = f"the rounds of {budget.target}" if device else "benchmark.host.rounds"
            return "judge", f"a latency has no interval below {FEWEST_ROUNDS} rounds; raise {where}"
    return None


def _find_limit_fault(budget: Budget) -> tuple[str, str] | None:
    """A lower limit that no value reaches."""
    most = {"fraction": 1.0, "dB": MOST_SQNR_DB}.get(METRICS[budget.metric])
    if budget.relative_to is None and most is not None and budget.at_least is not None and budget.at_least > most:
        return "at_least", f"{budget.metric} is at most {most:g}, so that nothing keeps {budget.at_least:g}; lower it"
    return None


def _instead(rule: _Rule) -> str:
    return f"model files, or {rule.weights}" if rule.weights else "model files"


def _matches(pattern: str, plan: Plan) -> list[str]:
    return [name for name in plan.names if fnmatchcase(name, pattern)]


def _at(key: str, message: str) -> InitErrorDetails:
    return InitErrorDetails(type=refusal(message), loc=(key,), input=None)
