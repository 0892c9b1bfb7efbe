"""What a recipe says about verifying and measuring: the host, emulated cores, real devices; and about predicting."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from compress.recipe.rules import destination, device_name, distinct, host_or_core, known_core, serial_number
from compress.strict_yaml import Part
from compress.strict_yaml.wording import refusal


class VerifyConfig(Part):
    """What the files are held against.

    images: test images on which runtimes, formats and instruction sets are compared.
    tflite_runtime: where the .tflite files are also tried on tflite-runtime 2.14, which older apps ship: `host`, or
        emulated cores. The metric `compatible` says on which it computes what LiteRT does.
    """

    images: int = Field(default=256, ge=1)
    tflite_runtime: Annotated[tuple[Annotated[str, AfterValidator(host_or_core)], ...], AfterValidator(distinct)] = ()


def tries_something(verify: VerifyConfig, info: ValidationInfo) -> VerifyConfig:
    """tflite-runtime has a file to be tried on."""
    if verify.tflite_runtime and "tflite" not in info.data.get("formats", ("tflite",)):
        raise refusal("tflite_runtime runs .tflite files, and formats does not list tflite; add it, or leave it out")
    return verify


class TimingConfig(Part):
    """Latency: `rounds` times `inferences` runs an artifact, all artifacts in turn, after `warmup`."""

    warmup: int = Field(default=5, ge=0)
    inferences: int = Field(default=30, ge=1)
    rounds: int = Field(default=5, ge=1)
    threads: int = Field(default=1, ge=1)


class HostConfig(TimingConfig):
    """Latency on this machine."""


class Arm64Config(Part):
    """Instructions on emulated cores, and the outputs of the artifacts there.

    images, float_images: how many test images an int8 artifact and a float one are run on.
    """

    cores: Annotated[tuple[Annotated[str, AfterValidator(known_core)], ...], AfterValidator(distinct)]
    images: int = Field(default=256, ge=2)
    float_images: int = Field(default=16, ge=2)


class PhonesConfig(Part):
    """Latencies predicted for phones and boards that need not be at hand, from what their emulated cores execute.

    names: of devices that `compress devices` lists, however they are spelt; budgets and reports spell them so too.
    threads: of the runtime, each on one of the phone's fast cores.
    """

    names: Annotated[tuple[str, ...], AfterValidator(distinct)]
    threads: int = Field(default=1, ge=1)


class DeviceConfig(TimingConfig):
    """A board or a phone that is reached now: over ssh, or a phone on a cable over adb; latency as on the host.

    name: what budgets and reports call it.
    ssh: `user@host`, or an alias of ~/.ssh/config. Outputs are compared with the host's as well.
    python: the command of a Python there with the runtimes; `~/` is the home folder there.
    port: of its ssh server, if not what ~/.ssh/config says.
    images: test images that each artifact is run on there.
    adb: a phone's serial number, or `any` for the only one that is connected.
    benchmark_model: LiteRT's own program of that name for the phone's processor, a file, relative to the recipe; it
        runs .tflite files.
    timeout_s: for one job.
    """

    name: Annotated[str, AfterValidator(device_name)]
    ssh: Annotated[str, AfterValidator(destination)] | None = None
    python: str = Field(default="python3", min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    images: int = Field(default=256, ge=2)
    adb: Annotated[str, AfterValidator(serial_number)] | None = None
    benchmark_model: str | None = None
    timeout_s: int = Field(default=120, ge=1)

    @model_validator(mode="after")
    def _is_reached_in_one_way(self) -> DeviceConfig:
        if (self.ssh is None) == (self.adb is None):
            raise refusal(f"expected one of ssh and adb, got {'neither' if self.ssh is None else 'both'}")
        strange = ("benchmark_model",) if self.ssh is not None else ("python", "port", "images")
        if given := [key for key in strange if key in self.model_fields_set]:
            way, other = ("ssh", "adb") if self.ssh is not None else ("adb", "ssh")
            raise refusal(f"{given[0]} is for a device over {other}, and this one is reached over {way}; leave it out")
        if self.adb is not None and self.benchmark_model is None:
            raise refusal("a phone over adb needs benchmark_model, the path of LiteRT's program of that name; add it")
        return self


def _distinct_names(devices: tuple[DeviceConfig, ...]) -> tuple[DeviceConfig, ...]:
    distinct([device.name for device in devices])
    return devices


class BenchmarkConfig(Part):
    """What is absent or null is not measured."""

    host: HostConfig | None = None
    arm64: Arm64Config | None = None
    phones: PhonesConfig | None = None
    devices: Annotated[tuple[DeviceConfig, ...], AfterValidator(_distinct_names)] | None = None
