"""report.html, read with html.parser."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from itertools import combinations
from xml.etree import ElementTree as Xml

import pytest
from example_results import example, with_name
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from reading import Page

from compress.report import html
from compress.types import Artifact, Results

EMPTY = Results(name="nothing", artifacts=(), measurements=(), verdicts=(), audits={}, provenance={})


@pytest.fixture(scope="module")
def whole() -> tuple[Results, str]:
    results = example(failing=True)
    return results, html(results)


def test_the_verdict_comes_first_and_says_what_was_gained(whole: tuple[Results, str]) -> None:
    words = Page(whole[1]).text
    opening = words[: words.index("Budgets")]
    assert "FAIL" in opening
    assert "student-int8.tflite: 0.9192 accuracy (−1.7 points), 54.6× smaller, 18.0× fewer instructions" in opening
    assert "Of 10 limits, 7 kept, 2 failed, 1 missing." in opening
    kept = Page(html(example())).text
    assert kept.index("PASS") < kept.index("All 7 limits are kept.") < kept.index("Budgets")


def test_sections_stand_in_order(whole: tuple[Results, str]) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", whole[1])
    assert titles == [
        "Budgets",
        "Results",
        "Accuracy, and what it costs",
        "Latency on the host",
        "Instructions on ARM64 cores",
        "Fidelity",
        "Inside the files",
        "What rounding costs",
        "What the teacher was worth",
        "Provenance",
    ]


def test_it_is_one_well_formed_file_that_fetches_nothing(whole: tuple[Results, str]) -> None:
    page = Page(whole[1])
    assert page.crooked == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert [name for name, count in Counter(page.ids).items() if count > 1] == []
    outside = [
        value for _, key, value in page.attributes if key.endswith(("href", "src")) and not value.startswith("#")
    ]
    assert outside == []
    assert "@import" not in whole[1]
    assert not re.search(r"url\((?!#)", whole[1])


def test_what_stays_in_float_is_named_once_for_all_its_files(whole: tuple[Results, str]) -> None:
    (table,) = [table for table in Page(whole[1]).tables if table[0][1][0] == "Why it stays in float"]
    assert [[text for text, _ in row] for row in table[1:]] == [
        ["blocks.0.act (aten.exp.default)", "no integer kernel", "student-int8.onnx, student-int8.tflite"]
    ]
    assert "Whatever was to run on integers does." in Page(html(EMPTY)).text


def test_the_dearest_layers_come_first(whole: tuple[Results, str]) -> None:
    (table,) = [table for table in Page(whole[1]).tables if table[0][1][0] == "SQNR alone"]
    assert len(table) == 1 + 12
    assert table[1] == [("blocks.0.conv", "aten.conv2d.default"), ("24.0 dB", ""), ("0.9375", ""), ("1,000", "")]
    dear = [float(row[1][0].removesuffix(" dB")) for row in table[1:]]
    assert dear == sorted(dear)
    assert "The 12 dearest of 16; results.json has all." in Page(whole[1]).text
    assert "Not measured: the recipe makes no int8 of the student by calibration." in Page(html(EMPTY)).text


def test_every_figure_is_xml_whose_references_resolve(whole: tuple[Results, str]) -> None:
    figures = re.findall(r"<svg.*?</svg>", whole[1], flags=re.DOTALL)
    assert len(figures) == 7
    for figure in figures:
        root = Xml.fromstring(figure)
        ids = {element.get("id") for element in root.iter()}
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', figure))
        assert used <= ids
        assert root.get("aria-label")
        assert "var(--ink)" in figure
        assert "DOCTYPE" not in figure


def test_every_artifact_and_every_verdict_appears(whole: tuple[Results, str]) -> None:
    results, text = whole
    page = Page(text)
    budgets, figures = page.tables[0], page.tables[1]
    shipped = [a.name for a in results.artifacts if a.format != "safetensors"]
    assert [row[0][0] for row in figures[1:]] == shipped
    assert sorted(row[-1][0] for row in budgets[1:]) == sorted(verdict.reason for verdict in results.verdicts)
    assert [row[0][0] for row in budgets[1:]] == ["FAIL", "FAIL", "MISSING"] + ["PASS"] * 7
    for artifact in results.artifacts:
        assert artifact.sha256 in text


def test_emulated_counts_are_never_called_a_time(whole: tuple[Results, str]) -> None:
    page = Page(whole[1])
    for table in page.tables:
        for column, (title, _) in enumerate(table[0]):
            if title.startswith("Instructions"):
                assert not any(" ms" in row[column][0] for row in table[1:])
    assert "nothing here is a time" in page.text


def test_the_same_results_give_the_same_bytes(whole: tuple[Results, str]) -> None:
    assert html(Results.from_json(whole[0].to_json())) == whole[1]


HOSTILE = [
    "<script>alert(1)</script>.tflite",
    "</style><img src=x onerror=alert(1)>.tflite",
    '" onmouseover="alert(1).tflite',
    "$\\frac{1}{0$.tflite",
    "{{ 7 * 7 }}.tflite",
    "_hidden in legends\n\x1b[31m\x00.tflite",
    "模型-int8.tflite",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_does_not_break_out(name: str) -> None:
    results = example(only="student-int8.tflite")
    results = dataclasses.replace(
        with_name(results, "student-int8.tflite", name), name=name, notes=(name,), provenance={"recipe": {"text": name}}
    )
    honest, page = Page(html(example(only="student-int8.tflite"))), Page(html(results))
    assert page.crooked == []
    assert not {"script", "img"} & set(page.tags)
    assert {key for _, key, _ in page.attributes} <= {key for _, key, _ in honest.attributes}
    shown = name.replace("\n", " ").replace("\x1b", "\ufffd").replace("\x00", "\ufffd")
    assert page.tables[1][1][0][0] == shown


def test_hostile_names_pass_through_the_figures() -> None:
    results = example()
    for old, new in zip([a.name for a in results.artifacts], HOSTILE, strict=False):
        results = with_name(results, old, new)
    page = Page(html(results))
    assert page.crooked == []
    assert not {"script", "img"} & set(page.tags)


def test_empty_results_say_what_is_missing() -> None:
    page = Page(html(EMPTY))
    assert page.crooked == []
    assert "NO VERDICT" in page.text
    assert "svg" not in page.tags
    assert page.tables == []
    for sentence in (
        "The recipe sets no budgets",
        "This run made no model file.",
        "No latency was measured on the host.",
        "No instructions were counted by class.",
        "No outputs were compared with torch.",
        "No two formats were compared.",
        "No outputs were compared on ARM64 cores.",
        "No graph was audited.",
    ):
        assert sentence in page.text


def test_one_artifact_alone_has_no_trade_off() -> None:
    page = Page(html(example(only="student-int8.tflite")))
    assert "Accuracy against instructions needs two files with both; fewer were measured." in page.text
    assert len(page.tables[1]) == 2
    assert "student-int8.tflite: 0.9192 accuracy, 49.8 kB, 0.506 M instructions on cortex-a76." in page.text


def test_without_the_emulator_the_page_says_so() -> None:
    results = example(emulated=False)
    page = Page(html(results))
    assert results.notes[0] in page.text
    assert "No instructions were counted by class." in page.text
    assert "MISSING" in [row[0][0] for row in page.tables[0]]
    assert not any(title.startswith("Instructions") for title, _ in page.tables[1][0])


def test_a_file_that_nothing_ran_is_still_listed() -> None:
    file = Artifact(
        name="user.onnx",
        role="file",
        path="user.onnx",
        format="onnx",
        precision="float32",
        sha256="a" * 64,
        size_bytes=0,
    )
    page = Page(html(dataclasses.replace(EMPTY, artifacts=(file,))))
    assert page.tables[0][1][0] == ("user.onnx", "never run")


def test_labels_of_a_figure_do_not_overlap(whole: tuple[Results, str]) -> None:
    """Boxes from the SVG's own coordinates, and the outlines of the letters in DejaVu Sans."""
    for figure in re.findall(r"<svg.*?</svg>", whole[1], flags=re.DOTALL)[:2]:
        boxes = {}
        for text in re.findall(r"<text [^>]*>[^<]*\.(?:onnx|tflite)</text>", figure):
            name = re.sub(r"<[^>]*>", "", text)
            place = re.search(r'x="([-\d.]+)" y="([-\d.]+)"', text)
            assert place
            x, y = map(float, place.groups())
            width = TextPath((0, 0), name, size=7.5, prop=FontProperties(family="DejaVu Sans")).get_extents().x1
            boxes[name] = (x, y - 7.5 * 0.75, x + width, y)
        assert len(boxes) == 8
        for one, other in combinations(boxes.values(), 2):
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)
