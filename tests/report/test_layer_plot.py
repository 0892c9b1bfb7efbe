"""The figure of a network's layers, for networks of any size: every layer a mark, the dearest named."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

import pytest

from compress.report.layer_plot import Layer, draw_layers

SVG = "{http://www.w3.org/2000/svg}"


def network(size: int) -> list[Layer]:
    names = [f"a.very.deeply.nested.module.of.blocks.{number}.depthwise" for number in range(size)]
    return [
        Layer(name=name, position=number + 1, sqnr_db=20.0 + number * 37 % 41, weighted=number % 2 == 0)
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize("size", [1, 2, 300])
def test_a_network_of_any_size(size: int) -> None:
    layers = network(size)
    text = draw_layers(layers, 15.0, "layers", "What each layer costs")
    root = Xml.fromstring(text)
    clouds = [group for group in root.iter(f"{SVG}g") if "PathCollection" in (group.get("id") or "")]
    marks = sum(len(list(cloud.iter(f"{SVG}use"))) for cloud in clouds)
    assert marks == size + min(size, 2)  # one more of each kind in the legend
    words = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    dearest = sorted(layers, key=lambda layer: layer.sqnr_db)[:6]
    named = [word for word in words if word.startswith("…")]
    assert len(named) >= min(size, 4)  # where there is room
    assert all(any(layer.name.endswith(word[1:]) for layer in dearest) for word in named)
    ticks = [
        float(word.replace("\N{MINUS SIGN}", "-")) for word in words if re.fullmatch(r"[\N{MINUS SIGN}\d.]+", word)
    ]
    positions = ticks[: next((i for i in range(1, len(ticks)) if ticks[i] <= ticks[i - 1]), len(ticks))]
    assert all(tick == round(tick) for tick in positions)  # there is no layer one and a half
    assert text == draw_layers(layers, 15.0, "layers", "What each layer costs")
