"""The standard networks with what is published about them, and the table of docs/networks.md that they make.

`python tests/models/published.py` writes the table; `test_published_networks.py` holds it against the modules.
All is built on torch's meta device: shapes without numbers, so that a forward pass of Inception v4 costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compress.models.densenet import densenet
from compress.models.efficientnet_lite import efficientnet_lite
from compress.models.googlenet import googlenet
from compress.models.inception_v3 import inception_v3
from compress.models.inception_v4 import inception_v4
from compress.models.mnasnet import mnasnet
from compress.models.mobilebert import mobilebert
from compress.models.mobilenet_v1 import mobilenet_v1
from compress.models.mobilenet_v2 import mobilenet_v2
from compress.models.mobilenet_v3 import mobilenet_v3
from compress.models.resnet_v1 import resnet_v1
from compress.models.resnet_v2 import resnet_v2
from compress.models.shufflenet_v2 import shufflenet_v2
from compress.models.squeezenet import squeezenet
from compress.models.vit import vit

TABLE = Path(__file__).parents[2] / "docs" / "networks.md"
START, END = "<!-- table of tests/models/published.py -->\n", "<!-- end of the table -->\n"
_ELEMENTWISE = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.LayerNorm, nn.GELU)
TORCHVISION, TIMM, KERAS = "torchvision", "timm", "Keras"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """parameters: learnt numbers; macs: products in convolutions and matrices; outputs: values convolutions write."""

    parameters: int
    macs: int
    outputs: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network for 1000 classes.

    size: height and width of the image; for an encoder, number of tokens.
    parameters: as published; an encoder's without its classifier.
    macs: as published, to its last digit, which may be rounded or cut off; "" where nobody says.
    per_output: what the source counts beside the products for every value that a convolution writes.
    source: of the parameters, and of the MACs.
    """

    name: str
    build: Callable[..., nn.Module]
    size: int
    parameters: int
    macs: str
    source: str
    arguments: dict[str, object] = field(default_factory=dict)
    per_output: int = 0

    @cached_property
    def counts(self) -> Counts:
        """What the module has and takes."""
        return count(build(self.build, **self.arguments), self.size)

    @property
    def allowed(self) -> float:
        """How many MACs may be missing: less than one of the last digit, and more where the source counts otherwise."""
        digit = float(Decimal(1).scaleb(int(Decimal(self.macs).as_tuple().exponent)))
        return max(digit, 0.005 * float(self.macs)) if self.per_output else digit


CASES = (
    Case(
        name="MobileNetV1", build=mobilenet_v1, size=224, parameters=4_231_976, macs="569e6", source=f"{KERAS}, paper"
    ),
    *(
        Case(
            name=f"MobileNetV1 {width}",
            build=mobilenet_v1,
            arguments={"width": width},
            size=224,
            parameters=parameters,
            macs=macs,
            source=f"{KERAS}, paper",
        )
        for width, parameters, macs in ((0.75, 2_585_560, "325e6"), (0.5, 1_331_592, "149e6"), (0.25, 470_072, "41e6"))
    ),
    Case(
        name="MobileNetV2",
        build=mobilenet_v2,
        size=224,
        parameters=3_504_872,
        macs="300e6",
        source="torchvision, paper",
    ),
    *(
        Case(
            name=f"MobileNetV2 {width}",
            build=mobilenet_v2,
            arguments={"width": width},
            size=224,
            parameters=parameters,
            macs=macs,
            source=f"{TIMM}, TF-Slim",
        )
        for width, parameters, macs in ((1.4, 6_108_776, "582e6"), (0.35, 1_677_128, "59e6"))
    ),
    Case(
        name="MobileNetV3-Large", build=mobilenet_v3, size=224, parameters=5_483_032, macs="0.22e9", source=TORCHVISION
    ),
    Case(
        name="MobileNetV3-Small",
        build=mobilenet_v3,
        arguments={"size": "small"},
        size=224,
        parameters=2_542_856,
        macs="0.06e9",
        source=TORCHVISION,
    ),
    *(
        Case(
            name=f"MobileNetV3-{size.title()} 0.75",
            build=mobilenet_v3,
            arguments={"size": size, "width": 0.75},
            size=224,
            parameters=parameters,
            macs=macs,
            source=f"{TIMM}, paper",
        )
        for size, parameters, macs in (("large", 3_993_528, "155e6"), ("small", 2_041_872, "44e6"))
    ),
    *(
        Case(
            name=f"MobileNetV3-{size.title()}, minimalistic",
            build=mobilenet_v3,
            arguments={"size": size, "minimalistic": True},
            size=224,
            parameters=parameters,
            macs=macs,
            source=source,
        )
        for size, parameters, macs, source in (
            ("large", 3_924_288, "209e6", f"{TIMM}, TF-Slim"),
            ("small", 2_044_736, "", TIMM),
        )
    ),
    Case(name="MnasNet-A1", build=mnasnet, size=224, parameters=3_887_038, macs="312e6", source=f"{TIMM}, paper"),
    *(
        Case(
            name=f"MnasNet-B1 {width}",
            build=mnasnet,
            arguments={"variant": "b1", "width": width},
            size=224,
            parameters=parameters,
            macs=macs,
            source=TORCHVISION,
        )
        for width, parameters, macs in (
            (0.5, 2_218_512, "0.10e9"),
            (0.75, 3_170_208, "0.21e9"),
            (1.0, 4_383_312, "0.31e9"),
            (1.3, 6_282_256, "0.53e9"),
        )
    ),
    *(
        Case(
            name=f"EfficientNet-Lite{number}",
            build=efficientnet_lite,
            arguments={"size": number},
            size=size,
            parameters=parameters,
            macs=macs,
            per_output=3,
            source=f"{TIMM}, authors",
        )
        for number, size, parameters, macs in (
            (0, 224, 4_652_008, "407e6"),
            (1, 240, 5_416_680, "631e6"),
            (2, 260, 6_092_072, "899e6"),
            (3, 280, 8_197_096, "1.44e9"),
            (4, 300, 13_006_568, "2.64e9"),
        )
    ),
    *(
        Case(
            name=f"SqueezeNet {version}",
            build=squeezenet,
            arguments={"version": version},
            size=224,
            parameters=parameters,
            macs=macs,
            source=TORCHVISION,
        )
        for version, parameters, macs in (("1.0", 1_248_424, "0.82e9"), ("1.1", 1_235_496, "0.35e9"))
    ),
    Case(name="GoogLeNet", build=googlenet, size=224, parameters=6_624_904, macs="1.50e9", source=TORCHVISION),
    *(
        Case(
            name=f"ShuffleNetV2 {width}",
            build=shufflenet_v2,
            arguments={"width": width},
            size=224,
            parameters=parameters,
            macs=macs,
            source=TORCHVISION,
        )
        for width, parameters, macs in (
            (0.5, 1_366_792, "0.04e9"),
            (1.0, 2_278_604, "0.14e9"),
            (1.5, 3_503_624, "0.30e9"),
            (2.0, 7_393_996, "0.58e9"),
        )
    ),
    Case(
        name="Inception v3",
        build=inception_v3,
        size=299,
        parameters=23_834_568,
        macs="5.72e9",
        source=f"{TIMM}, Zoph et al. 2018",
    ),
    Case(
        name="Inception v4",
        build=inception_v4,
        size=299,
        parameters=42_679_816,
        macs="12.3e9",
        source=f"{TIMM}, Zoph et al. 2018",
    ),
    Case(name="ResNet-50", build=resnet_v1, size=224, parameters=25_557_032, macs="3.8e9", source="torchvision, paper"),
    *(
        Case(
            name=name,
            build=resnet_v1,
            arguments=arguments,
            size=224,
            parameters=parameters,
            macs=macs,
            source=TORCHVISION,
        )
        for name, arguments, parameters, macs in (
            ("ResNet-18", {"depth": 18}, 11_689_512, "1.81e9"),
            ("ResNet-34", {"depth": 34}, 21_797_672, "3.66e9"),
            ("ResNet-50, version 1.5", {"strided_kernel": 3}, 25_557_032, "4.09e9"),
            ("ResNet-101, version 1.5", {"depth": 101, "strided_kernel": 3}, 44_549_160, "7.80e9"),
            (
                "ResNeXt-50 32x4d",
                {"groups": 32, "group_width": 4, "strided_kernel": 3},
                25_028_904,
                "4.23e9",
            ),
            (
                "ResNeXt-101 32x8d",
                {"depth": 101, "groups": 32, "group_width": 8, "strided_kernel": 3},
                88_791_336,
                "16.41e9",
            ),
            ("Wide ResNet-50-2", {"group_width": 128, "strided_kernel": 3}, 68_883_240, "11.40e9"),
        )
    ),
    *(
        Case(
            name=f"ResNet-{depth} v2",
            build=resnet_v2,
            arguments={"depth": depth},
            size=size,
            parameters=parameters,
            macs="",
            source=KERAS,
        )
        for depth, size, parameters in ((50, 224, 25_568_360), (101, 299, 44_577_896))
    ),
    *(
        Case(
            name=f"DenseNet-{depth}",
            build=densenet,
            arguments={"depth": depth},
            size=224,
            parameters=parameters,
            macs=macs,
            source=TORCHVISION,
        )
        for depth, parameters, macs in ((121, 7_978_856, "2.83e9"), (169, 14_149_480, "3.36e9"))
    ),
    *(
        Case(
            name=name,
            build=vit,
            arguments={"image_size": 224, "patch_size": 16, **arguments},
            size=224,
            parameters=parameters,
            macs="",
            source=TIMM,
        )
        for name, arguments, parameters in (
            ("ViT-Ti/16", {}, 5_717_416),
            ("ViT-S/16", {"width": 384, "heads": 6}, 22_050_664),
            ("ViT-B/16", {"width": 768, "heads": 12}, 86_567_656),
        )
    ),
    Case(name="MobileBERT", build=mobilebert, size=128, parameters=24_581_888, macs="", source="Hugging Face"),
)


def build(function: Callable[..., nn.Module], **arguments: object) -> nn.Module:
    """A network for colour images and 1000 classes, without numbers."""
    channels = {} if function is mobilebert else {"in_channels": 3}
    with torch.device("meta"):
        return function(classes=1000, **channels, **arguments).eval()


def count(model: nn.Module, size: int) -> Counts:
    """What a forward pass takes."""
    text = hasattr(model, "embedding")
    if text:
        model.classifier = nn.Identity()
    outputs: list[int] = []
    for layer in model.modules():
        if isinstance(layer, _ELEMENTWISE):
            layer.forward = nn.Identity().forward  # slow on the meta device, and without products
        elif isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _layer, _inputs, output: outputs.append(output.numel()))
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        model(torch.zeros(1, size, dtype=torch.long) if text else torch.zeros(1, 3, size, size))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Counts(parameters=parameters, macs=counter.get_total_flops() // 2, outputs=sum(outputs))


def render() -> str:
    """The table in markdown."""
    lines = [
        "| network | call, in `compress.models` | input | parameters | million MACs | published | sources |",
        "|---|---|---|---:|---:|---|---|",
    ]
    for case in CASES:
        counts = case.counts
        words = ", ".join(f"{name}={value!r}" for name, value in case.arguments.items()).replace("'", '"')
        module = case.build.__module__.rpartition(".")[2]
        size = f"{case.size} tokens" if case.build is mobilebert else f"{case.size} x {case.size}"
        published = case.macs.replace("e6", " M").replace("e9", " G") or "–"
        lines.append(
            f"| {case.name} | `{module}:{case.build.__name__}({words})` | {size} | {case.parameters:,} | "
            f"{counts.macs / 1e6:,.1f} | {published} | {case.source} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    before, after = TABLE.read_text().split(START)[0], TABLE.read_text().split(END)[1]
    TABLE.write_text(before + START + render() + END + after)
