"""Which phones of a recipe latencies can be predicted for: it says so before anything trains."""

from __future__ import annotations

from pydantic import ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails

from compress.errors import RecipeError
from compress.recipe.benchmark import BenchmarkConfig
from compress.recipe.rules import core_names
from compress.strict_yaml import Source
from compress.strict_yaml.wording import refusal


def predictable_phones(benchmark: BenchmarkConfig, info: ValidationInfo) -> BenchmarkConfig:
    """Each is known, has cores whose pipeline is described, and as many of them as threads; no name is a target's."""
    if benchmark.phones is None or "devices_file" not in info.data:
        return benchmark
    from compress.targets.devices import find_device, load_devices
    from compress.targets.latency.placement import place_threads

    assert isinstance(info.context, Source)
    written = info.data["devices_file"]
    devices = load_devices(info.context.path.parent / written if written else None)
    taken = ("host", *core_names(), *(device.name for device in benchmark.devices or ()))
    faults = []
    meant: dict[str, str] = {}
    for index, name in enumerate(benchmark.phones.names):
        try:
            device = find_device(name, devices)
            place_threads(device, benchmark.phones.threads)
            if name in taken:
                raise RecipeError(f"{name} is a target already; spell the phone otherwise, or rename the other")
            if other := meant.get(device.name):
                raise RecipeError(f"{name} and {other} are both {device.name}; keep one")
            meant[device.name] = name
        except RecipeError as error:
            loc = ("phones", "names", index)
            faults.append(InitErrorDetails(type=refusal(str(error)), loc=loc, input=None))
    if faults:
        raise ValidationError.from_exception_data("benchmark", faults)
    return benchmark
