"""A JSONPath's segments lead to what the RFC's own library finds."""

from __future__ import annotations

import copy
import pickle

import jsonpath_rfc9535
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from flywheel.manifest.jsonpath import JsonPath

KEYS = st.text(min_size=1, max_size=4) | st.sampled_from(["a", "b", "a b", "a.b", "'", '"', "\\", "é", "😀", "\n", "0"])
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def follow(data: object, segments: tuple[str | int, ...]) -> list[object]:
    for step in segments:
        named = isinstance(step, str) and isinstance(data, dict) and step in data
        counted = isinstance(step, int) and isinstance(data, list) and -len(data) <= step < len(data)
        if not (named or counted):
            return []
        data = data[step]  # type: ignore[index]
    return [data]


@st.composite
def segments_into(draw: st.DrawFn, data: object) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    while isinstance(data, dict | list) and data and draw(st.booleans() if steps else st.just(True)):
        if isinstance(data, dict):
            steps.append(draw(st.sampled_from(sorted(data))))
        else:
            steps.append(draw(st.integers(-len(data), len(data) - 1)))
        data = data[steps[-1]]  # type: ignore[index, call-overload]  # the step was drawn from this very container
    return (*steps, *draw(st.lists(KEYS | st.integers(-3, 3), max_size=1, min_size=0 if steps else 1)))


def written(segments: tuple[str | int, ...]) -> str:
    def quoted(name: str) -> str:
        return "".join(f"\\u{ord(c):04x}" if ord(c) < 32 else f"\\{c}" if c in "'\\" else c for c in name)

    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f"['{quoted(step)}']" for step in segments)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_segments_find_what_the_library_finds(data: st.DataObject) -> None:
    record = data.draw(DATA)
    segments = data.draw(segments_into(record))
    assume("*" not in segments or all(isinstance(step, str) or step >= 0 for step in segments))
    path = JsonPath(written(segments))
    assert path.segments == segments
    assert follow(record, path.segments) == list(jsonpath_rfc9535.find(path, record).values())


@given(st.text(max_size=20))
@settings(deadline=None, max_examples=200)
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    for candidate in (text, f"${text}", f"$.{text}"):
        try:
            path = JsonPath(candidate)
        except ValueError:
            continue
        assert path.segments
        assert len(jsonpath_rfc9535.find(path, {"a": [1]})) <= 1


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("$.metrics.cpu.usage_percent", ("metrics", "cpu", "usage_percent")),
        ("$['a b'][0].c", ("a b", 0, "c")),
        ("$[-1]", (-1,)),
        ('$["it\'s"]', ("it's",)),
        ("$.é", ("é",)),
    ],
)
def test_paths_as_people_write_them(text: str, segments: tuple[str | int, ...]) -> None:
    assert JsonPath(text).segments == segments


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$", "leads to the whole record"),
        ("metrics.cpu", r"a JSONPath starts with \$: \$\.metrics\.cpu"),
        ("", r"a JSONPath starts with \$"),
        ("$..cpu", "may lead to several values"),
        ("$.a[*]", "may lead to several values"),
        ("$.a[0:2]", "may lead to several values"),
        ("$.a[0, 1]", "may lead to several values"),
        ("$.a[?@.b > 1]", "may lead to several values"),
        ("$.a[", "is not a JSONPath"),
        ("$.a['*'][-1]", "count from the start"),
        ("$.a b", "is not a JSONPath"),
        ("$.a[9007199254740992]", "is not a JSONPath"),
    ],
)
def test_paths_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JsonPath(text)


def test_it_is_text_everywhere_else() -> None:
    path = JsonPath("$.a.b")
    adapter = TypeAdapter(JsonPath)
    assert adapter.validate_json(adapter.dump_json(path)) == path
    assert isinstance(adapter.validate_python("$.a.b"), JsonPath)
    assert pickle.loads(pickle.dumps(path)).segments == copy.deepcopy(path).segments == ("a", "b")
    with pytest.raises(ValidationError, match="several values"):
        adapter.validate_python("$..a")
