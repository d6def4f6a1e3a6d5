"""Manifests that somebody mangled or means harm with: problems with lines, or a pipeline that works."""

from __future__ import annotations

import copy
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hostile import NAMES, attack, names, tree
from hypothesis import example, given
from hypothesis import strategies as st
from made_records import make_records
from ruamel.yaml import YAML

from flywheel.errors import FlywheelError, ManifestError
from flywheel.manifest.cel import CelText, compile_cel
from flywheel.manifest.graph import pipeline_graph
from flywheel.manifest.graph_text import to_mermaid, to_text
from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.load import Bundle, load_whole, parse
from flywheel.manifest.schema import output_schema
from flywheel.records.paths import pick_values
from flywheel.records.prepare import prepare

PIPELINES = Path(__file__).parents[2] / "deployments" / "pipelines"
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in sorted(PIPELINES.glob("*.yaml"))}
WEIRD = [
    "1e400",
    "-1",
    "0",
    "9" * 40,
    ".inf",
    ".nan",
    "2013-13-45",
    "0001-01-01",
    "!!python/object:os.system x",
    "&a [*a]",
]
WEIRD += [
    "${HOME}",
    "${NOT_SET_ANYWHERE}",
    "null",
    "~",
    "[]",
    "{}",
    '"\\0"',
    '"\\ud800"',
    "'",
    "*x",
    "<<: *x",
    "\t",
    "%YAML 9",
]
WEIRD += [
    "99999999999d",
    "P99999999999D",
    "1e30s",
    "-5m",
    "\x00",
    "\x85",
    "\ufeff",
    "---\n",
    "...\n",
    "? ",
    ": ",
    "- ",
    "|+\n",
]


def use(read: Any) -> Bundle | None:
    """What becomes of documents: all of it works, or an error for people says what does not."""
    try:
        bundle = read()
        for name in bundle.pipelines:
            _use_pipeline(bundle, name)
    except FlywheelError as error:
        str(error).encode()
        return None
    for text in bundle.texts.values():
        text.encode()
    return bundle


def _use_pipeline(bundle: Bundle, name: str) -> None:
    pipeline = bundle.pipeline(name)
    graph = pipeline_graph(pipeline)
    to_text(graph).encode()
    to_mermaid(graph).encode()
    rows = pl.DataFrame(schema=output_schema(pipeline))
    for sink in pipeline.spec.sinks if pipeline.inference.output_field in rows.columns else ():
        if sink.condition:
            rows.filter(compile_cel(sink.condition, rows.schema))
    record = pl.DataFrame({"a": ["x"], "timestamp": ["2013-01-01T00:00:00Z"], "b": [1.5]})
    prepared = prepare(make_records(record, pipeline), pipeline, JsonPath("$.timestamp"))
    assert prepared.rows.height + prepared.quarantined.height == 1


def test_the_bundled_manifests_pass_all_of_it() -> None:
    assert all(use(lambda text=text: parse(text)) for text in TEXTS.values())


@given(st.data())
@attack(30)
def test_any_mangled_text(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(list(TEXTS.values())))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = min(len(text), start + data.draw(st.sampled_from([0, 0, 1, 2, 10, 200])))
        piece = data.draw(st.sampled_from([*WEIRD, *NAMES]) | st.text(max_size=5) | st.just(text[start:stop] * 2))
        text = text[:start] + piece + text[stop:]
    use(lambda: parse(text))


@cache
def documents(name: str) -> list[Any]:
    return list(YAML(typ="safe").load_all(TEXTS[name]))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document that a value can be put into."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for step, each in inside for found in [(value, step), *places(each)]]


def dump(documents: list[Any]) -> str:
    stream = StringIO()
    YAML(typ="safe").dump_all(documents, stream)
    return stream.getvalue()


hostile_values = (
    names | st.integers() | st.floats() | st.sampled_from([10**40, -(10**40), 2**63, 1e308, True, None, [], {}])
)
hostile_values |= st.sampled_from(
    ["99999999999d", "P99999999999D", "100000d", "0s", "1e400", "${HOME}/x", "$['a\\u0000']"]
)


@given(value=hostile_values, data=st.data())
@attack(40)
def test_any_value_in_any_place(value: object, data: st.DataObject) -> None:
    changed = copy.deepcopy(documents(data.draw(st.sampled_from(list(TEXTS)))))
    holder, step = data.draw(st.sampled_from(places(changed)))
    holder[step] = value
    text = dump(changed)
    use(lambda: parse(text))


@given(name=names, data=st.data())
@attack(25)
def test_any_key(name: str, data: st.DataObject) -> None:
    changed = copy.deepcopy(documents(data.draw(st.sampled_from(list(TEXTS)))))
    holder = data.draw(st.sampled_from([holder for holder, _ in places(changed) if isinstance(holder, dict)]))
    holder[name] = holder.pop(next(iter(holder)))
    text = dump(changed)
    use(lambda: parse(text))


NAME_FIELDS = [
    "metadata.name",
    "metadata.namespace",
    "spec.source",
    "stages.id",
    "features.name",
    "model_id",
    "sinks.name",
]


def put(document: Any, field: str, name: str) -> None:
    spec = document["spec"]
    stages = {stage["type"]: stage for stage in spec["stages"]}
    holder, key = {
        "metadata.name": (document["metadata"], "name"),
        "metadata.namespace": (document["metadata"], "namespace"),
        "spec.source": (spec, "source"),
        "stages.id": (spec["stages"][0], "id"),
        "features.name": (stages["feature-extraction"]["config"]["features"][0], "name"),
        "model_id": (stages["ml-inference"]["config"], "model_id"),
        "sinks.name": (spec["sinks"][0], "name"),
    }[field]
    holder[key] = name


@pytest.mark.parametrize("field", NAME_FIELDS)
@pytest.mark.parametrize("name", [name for name in NAMES if name != "null"], ids=repr)
def test_a_name_that_is_no_name_is_refused_and_shown_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    document = copy.deepcopy(documents("anomaly-detection.yaml")[0])
    put(document, field, name)
    file = tmp_path / "m.yaml"
    text = dump([document])
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as error:
        load_whole([file])
    assert all(problem.line >= 1 and problem.file == str(file) for problem in error.value.problems)
    assert len(str(error.value)) < 20_000
    assert "\0" not in str(error.value)
    assert tree(tmp_path) == {"m.yaml": text.encode()}


@given(names | st.sampled_from(["$", "$.", "$..a", "$[*]", "$[?@.a]", "$[99999999999999999999]", "$" + "[0]" * 300]))
@attack(100)
def test_any_text_as_a_path_finds_its_key_or_is_refused(text: str) -> None:
    for written in (text, f"$['{text}']", f"$.{text}"):
        try:
            path = JsonPath(written)
        except ValueError:
            continue
        frame = pl.DataFrame({"a": ['{"b": 1}']})
        assert pick_values(frame, [path]).height == 1
        assert path.segments


CEL_SCHEMA = pl.Schema({"a": pl.String(), "x": pl.Float64(), "n": pl.Int64(), "p": pl.Struct({"score": pl.Float64()})})
CEL_TEXTS = [
    "a",
    "x",
    "n",
    "p.score",
    "p",
    "==",
    "<",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "in",
    "(",
    ")",
    "[",
    "]",
    "? 1 : 2",
]
CEL_TEXTS += [
    "'\\ud800'",
    "'\\U00110000'",
    "b'\\xff'",
    "r'\\'",
    "'''",
    "9" * 400,
    "1e400",
    "0xffffffffffffffffff",
    "1u",
    "{}",
]
CEL_TEXTS += [
    "a.matches('(')",
    "a.matches('a{1000}{1000}')",
    "a.matches('(?P<x')",
    "timestamp('0001-01-01T00:00:00+14:00')",
]
CEL_TEXTS += [
    "timestamp('9999-12-31T23:59:59-14:00')",
    "size(a)",
    "has(p.score)",
    "int(x)",
    "double(a)",
    "null",
    "true",
    "a.b.c",
]


@given(st.lists(st.sampled_from(CEL_TEXTS) | names, min_size=1, max_size=5).map(" ".join))
@attack(150)
@example("a == '\\ud800'")
@example("a == '\\U00110000'")
@example("x > 1e400")
@example("n % 0 == 0 || n / 0 > 1 || -n < -9223372036854775808")
@example("a.matches('a{1000}{1000}{1000}')")
@example("timestamp('0001-01-01T00:00:00+14:00') == timestamp('9999-12-31T23:59:59-14:00')")
def test_any_condition_is_compiled_and_runs_or_is_refused(text: str) -> None:
    rows = pl.DataFrame(
        {"a": ["x\0", None], "x": [float("nan"), 1e308], "n": [-(2**63), 0], "p": [None, {"score": 1.0}]}
    )
    try:
        condition = compile_cel(CelText(text), CEL_SCHEMA)
    except (ValueError, ManifestError) as error:
        str(error).encode()
        return
    assert rows.cast(dict(CEL_SCHEMA)).filter(condition).height <= 2  # type: ignore[arg-type]
