"""Common blocks of mobile networks, one line each, and the table of docs/operators.md that they make.

`python tests/export/op_zoo.py` writes the table; `test_op_zoo.py` holds it against what quantisation and export do.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_blocks import Block, Inputs, SelfAttention, attention, convolve, gated, plain, upwards

TABLE = Path(__file__).parents[2] / "docs" / "operators.md"
START, END = "<!-- table of tests/export/op_zoo.py -->\n", "<!-- end of the table -->\n"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One block.

    floats: (operator, reason) of what stays in float, as `QuantizedGraph.left_in_float` names it.
    onnx, tflite: (operators on int8, all operators) in each file where not all of them are.
    """

    name: str
    inputs: Inputs
    make: Callable[[], nn.Module]
    floats: tuple[tuple[str, str], ...] = ()
    onnx: tuple[int, int] | None = None
    tflite: tuple[int, int] | None = None

    def build(self) -> nn.Module:
        """Weights of its own, which converters cannot share; batch norms far from the identity."""
        torch.manual_seed(zlib.crc32(self.name.encode()))
        model = self.make()
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                for parameter, low in (
                    (norm.weight, 0.5),
                    (norm.bias, -0.5),
                    (norm.running_mean, -1),
                    (norm.running_var, 0.5),
                ):
                    nn.init.uniform_(parameter, low, low + 1)  # type: ignore[arg-type]
        return model.eval()


def _case(
    name: str, inputs: Inputs, function: Callable[..., Tensor], *layers: Callable[[], nn.Module], **rest: object
) -> Case:
    def make() -> nn.Module:
        return Block(inputs, function, *(layer() for layer in layers))

    return Case(name=name, inputs=inputs, make=make, **rest)  # type: ignore[arg-type]


NO_KERNEL = "no integer kernel for {} in both runtimes"


def _island(operator: str) -> tuple[tuple[str, str], ...]:
    return ((operator, NO_KERNEL.format(operator)),)


CASES = (
    _case("convolution", "image", lambda x: x),
    _case("convolution, ReLU", "image", lambda x, conv: F.relu(conv(x)), convolve(8, 5, padding=2)),
    _case(
        "depthwise convolution, ReLU6", "image", lambda x, conv: F.relu6(conv(x)), convolve(8, 3, padding=1, groups=8)
    ),
    _case("depthwise convolution, two filters a channel", "image", plain, convolve(16, 3, groups=8)),
    _case("grouped convolution", "image", plain, convolve(8, 3, padding=1, groups=2)),
    _case("dilated convolution", "image", plain, convolve(8, 3, padding=2, dilation=2)),
    _case("strided convolution", "image", plain, convolve(8, 3, stride=2, padding=1)),
    _case(
        "strided convolution, uneven padding",
        "image",
        lambda x, conv: conv(F.pad(x, (0, 1, 0, 1))),
        convolve(8, 3, stride=2),
    ),
    _case("convolution, `same` padding of an even kernel", "image", plain, convolve(8, 4, padding="same")),
    _case("convolution, reflecting padding", "image", plain, convolve(8, 3, padding=1, padding_mode="reflect")),
    _case(
        "inverted residual",
        "image",
        lambda x, a, b, c: x + c(F.relu6(b(F.relu6(a(x))))),
        convolve(16, 1),
        convolve(16, 3, 16, padding=1, groups=16),
        convolve(8, 1, 16),
    ),
    _case("residual addition, ReLU", "image", lambda x, conv: F.relu(x + conv(x)), convolve(8, 3, padding=1)),
    _case("concatenation", "image", lambda x, conv: torch.cat([x, conv(x)], 1), convolve(4, 1)),
    _case(
        "concatenation with a sigmoid",
        "image",
        lambda x, conv: torch.cat([torch.sigmoid(x), conv(x)], 1),
        convolve(4, 1),
    ),
    _case("stack", "image", lambda x, conv: torch.stack([x, conv(x)], 1).flatten(1, 2), convolve(8, 1)),
    _case("squeeze-and-excitation, sigmoid", "image", gated(torch.sigmoid), convolve(4, 1), convolve(8, 1, 4)),
    _case("squeeze-and-excitation, hard sigmoid", "image", gated(F.hardsigmoid), convolve(4, 1), convolve(8, 1, 4)),
    _case("transposed convolution, 2 x 2, stride 2", "image", plain, upwards(6, 2, stride=2)),
    _case(
        "transposed convolution, output padding", "image", plain, upwards(6, 3, stride=2, padding=1, output_padding=1)
    ),
    _case(
        "transposed convolution, batch norm, ReLU",
        "image",
        lambda x, up, norm: F.relu(norm(up(x))),
        upwards(6, 4, stride=2, padding=1),
        lambda: nn.BatchNorm2d(6),
    ),
    _case("batch norm alone", "image", lambda x, norm: norm(F.relu(x)), lambda: nn.BatchNorm2d(8)),
    _case("global average pool", "image", lambda x: x.mean((2, 3))),
    _case("global maximum pool", "image", lambda x: F.adaptive_max_pool2d(x, 1)),
    _case("average pool", "image", lambda x: F.avg_pool2d(x, 2)),
    _case("average pool over the border", "image", lambda x: F.avg_pool2d(x, 3, 2, 1)),
    _case(
        "average pool over the border, padding not counted",
        "image",
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    _case("maximum pool", "image", lambda x: F.max_pool2d(x, 3, 2, 1)),
    _case("adaptive average pool, equal windows", "image", lambda x: F.adaptive_avg_pool2d(x, 4)),
    _case("hard swish", "image", F.hardswish),
    _case("SiLU", "image", F.silu),
    _case("GELU", "image", F.gelu),
    _case("GELU, tanh form", "image", lambda x: F.gelu(x, approximate="tanh")),
    _case("leaky ReLU", "image", F.leaky_relu),
    _case("PReLU", "image", plain, lambda: nn.PReLU(8)),
    _case("clamp to any limits", "image", lambda x: x.clamp(-2, 3)),
    _case("tanh", "image", torch.tanh),
    _case("softmax over channels", "image", lambda x: torch.softmax(x, 1)),
    _case("gated linear unit", "image", lambda x: F.glu(x, 1)),
    _case("maximum of two", "image", lambda x, conv: torch.maximum(x, conv(x)), convolve(8, 1)),
    _case("arithmetic with numbers", "image", lambda x: 1.0 - x * 2.0),
    _case("pixel shuffle", "image", lambda x: F.pixel_shuffle(x, 2)),
    _case("pixel unshuffle", "image", lambda x: F.pixel_unshuffle(x, 2)),
    _case("channel shuffle", "image", plain, lambda: nn.ChannelShuffle(2)),
    _case("nearest upsampling", "image", lambda x: F.interpolate(x, scale_factor=2)),
    _case("nearest upsampling by a fraction", "image", lambda x: F.interpolate(x, size=(12, 12))),
    _case("bilinear upsampling", "image", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
    _case("padding with a number", "image", lambda x: F.pad(x, (1, 2, 1, 0), value=1.0)),
    _case("split, product of the parts", "image", lambda x: torch.mul(*x.chunk(2, 1))),
    _case("slices", "image", lambda x: x[:, :, 1:7, ::2]),
    _case("chosen channels", "image", lambda x: x[:, [0, 2, 4]]),
    _case("repetition", "image", lambda x: x.repeat(1, 2, 1, 1)),
    _case("mean over channels", "image", lambda x: x.mean(1, keepdim=True)),
    _case("sum over pixels", "image", lambda x: x.sum((2, 3))),
    _case("squeeze of a map", "image", lambda x, conv: conv(x).squeeze(1), convolve(1, 1)),
    _case("linear layer, ReLU", "row", lambda x, layer: F.relu(layer(F.relu(x))), lambda: nn.Linear(16, 10)),
    _case("linear layer, batch norm alone", "row", lambda x, norm: norm(F.relu(x)), lambda: nn.BatchNorm1d(16)),
    _case("softmax", "row", lambda x: torch.softmax(x, -1)),
    _case("linear layer over a sequence", "sequence", lambda x, layer: layer(F.gelu(x)), lambda: nn.Linear(16, 10)),
    _case("multi-head attention, by hand", "sequence", attention, lambda: nn.Linear(16, 48), lambda: nn.Linear(16, 16)),
    _case("multi-head attention, torch's module", "sequence", plain, SelfAttention),
    _case(
        "product of two activations",
        "sequence",
        lambda x, layer: x @ layer(x).transpose(1, 2),
        lambda: nn.Linear(16, 16),
    ),
    _case("mean over a sequence", "sequence", lambda x: x.mean(1)),
    _case("first of a sequence", "sequence", lambda x: x[:, 0]),
    _case(
        "conv1d, batch norm, ReLU, strided conv1d",
        "signal",
        lambda x, norm, conv: conv(F.relu(norm(x))),
        lambda: nn.BatchNorm1d(8),
        lambda: nn.Conv1d(8, 8, 3, 2, 1, groups=8),
    ),
    _case("transposed conv1d", "signal", plain, lambda: nn.ConvTranspose1d(8, 6, 4, 2, 1)),
    _case("1-d pools", "signal", lambda x: F.avg_pool1d(F.max_pool1d(x, 2), 2)),
    _case(
        "layer norm",
        "sequence",
        plain,
        lambda: nn.LayerNorm(16),
        floats=_island("aten.layer_norm.default"),
        onnx=(3, 4),
        tflite=(1, 13),
    ),
    _case(
        "group norm",
        "image",
        plain,
        lambda: nn.GroupNorm(2, 8),
        floats=_island("aten.group_norm.default"),
        onnx=(1, 6),
        tflite=(3, 19),
    ),
    _case(
        "instance norm",
        "image",
        plain,
        lambda: nn.InstanceNorm2d(8, affine=True),
        floats=_island("aten.instance_norm.default"),
        onnx=(1, 2),
        tflite=(2, 11),
    ),
    _case(
        "division",
        "image",
        lambda x: x / (1 + torch.sigmoid(x)),
        floats=_island("aten.div.Tensor"),
        onnx=(3, 4),
        tflite=(3, 4),
    ),
    _case("exponential", "image", torch.exp, floats=_island("aten.exp.default"), onnx=(1, 2), tflite=(1, 2)),
)


def render() -> str:
    """The table in markdown."""
    lines = [
        "| block, after a convolution or linear layer | int8 in ONNX | int8 in TFLite | stays in float, and why |",
        "|---|---|---|---|",
    ]
    for case in CASES:
        shares = ["all" if share is None else f"{share[0]} of {share[1]}" for share in (case.onnx, case.tflite)]
        floats = "; ".join(f"`{operator}`: {reason}" for operator, reason in case.floats)
        lines.append(f"| {case.name} | {shares[0]} | {shares[1]} | {floats or '–'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    before, after = TABLE.read_text().split(START)[0], TABLE.read_text().split(END)[1]
    TABLE.write_text(before + START + render() + END + after)
