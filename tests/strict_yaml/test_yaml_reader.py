"""Values as JSON reads them, places as the text has them, and every refusal at its line and column."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.strict_yaml.reader import read_yaml
from compress.types import Json

WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=8).filter(
    lambda word: not any(0x7F <= ord(letter) < 0xA0 for letter in word)
)
NUMBERS = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
@settings(deadline=None)
def test_json_is_yaml(value: Json) -> None:
    document = read_yaml(json.dumps(value, indent=1, ensure_ascii=False))
    assert document.problems == []
    assert document.value == value


@given(VALUES)
@settings(deadline=None)
def test_places_are_where_the_text_is(value: Json) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    lines = text.split("\n")
    document = read_yaml(text)
    for loc, place in document.places.items():
        written = lines[place.line - 1][place.column - 1 :]
        expected = value
        for step in loc:
            expected = expected[step]
        assert written.startswith(json.dumps(expected, indent=1, ensure_ascii=False).split("\n")[0])
    for loc, key in document.keys.items():
        assert lines[key.line - 1][key.column - 1 :].startswith(json.dumps(loc[-1], ensure_ascii=False))


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "the file is empty"),
        ("# only a comment\n", 1, 1, "the file is empty"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key 'a', first given in line 1"),
        ("a: {b: 1, 'b': 2}\n", 1, 11, "a: duplicate key 'b'"),
        ("a: &x 1\nb: 2\n", 1, 4, "a: anchor &x is not read"),
        ("b: *x\n", 1, 4, "b: alias *x is not read"),
        ("a: {<<: {b: 1}}\n", 1, 5, "a: merge key << is not read"),
        ("a: !!python/object:os.system 1\n", 1, 4, "a: tag !!python/object:os.system is not read"),
        ("a: !mine [1]\n", 1, 4, "a: tag !mine is not read"),
        ("? [1, {c: d}]\n: 2\n", 1, 3, "a key must be a plain word"),
        ("&k a: 1\n", 1, 1, "a key must be a plain word"),
        ("a: 1\n--- \nb: 2\n", 2, 1, "a second document"),
        ("a:\n\tb: 1\n", 2, 1, "a tab stands where"),
        ("a: [1, 2\nb: 3\n", 2, 2, "not YAML while parsing a flow sequence that starts in line 1"),
        ("a: b: c\n", 1, 5, "not YAML"),
        ("a: 'b\n", 2, 1, "not YAML"),
        ("a: 1\nb: x\x00y\n", 2, 5, "character U+0000 may not stand in YAML"),
        ('a: "\\ud800"\n', 1, 4, "a: half of a surrogate pair"),
        ("a: .inf\n", 1, 4, "a: .inf is not a finite number"),
        ("[" * 40 + "]" * 40, 1, 34, "nested deeper than 32 levels"),
    ],
)
def test_refusals(text: str, line: int, column: int, words: str) -> None:
    problem = read_yaml(text).problems[-1]
    assert (problem.line, problem.column) == (line, column)
    assert words in problem.message


def test_reads_on_after_a_refusal() -> None:
    document = read_yaml("a: *x\nb: {c: 1, c: [1, {d: 2}], e: .nan}\n<<: [3]\nf: 4\n")
    assert document.value == {"a": None, "b": {"c": 1, "e": None}, "f": 4}
    assert [problem.line for problem in document.problems] == [1, 2, 2, 3]


def test_an_alias_bomb_does_not_go_off() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    document = read_yaml(bomb)
    assert len(document.problems) == 60 + 2 * 59


def test_a_billion_brackets_end_at_once() -> None:
    assert "nested deeper" in read_yaml("[" * 2**20).problems[-1].message
