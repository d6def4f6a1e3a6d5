"""A compiled condition says of every row what celpy's own evaluation says of it."""

from __future__ import annotations

import contextlib
import math
import sys
from datetime import UTC, datetime
from functools import cache
from typing import Any

import celpy
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_series_equal
from pydantic import TypeAdapter, ValidationError

from flywheel.errors import ManifestError
from flywheel.manifest.cel import CelText, compile_cel, names_in

SCHEMA = pl.Schema(
    {
        "i": pl.Int64,
        "j": pl.Int64,
        "x": pl.Float64,
        "y": pl.Float64,
        "s": pl.String,
        "t": pl.String,
        "b": pl.Boolean,
        "c": pl.Boolean,
        "p": pl.Struct({"flag": pl.Boolean, "score": pl.Float64, "name": pl.String}),
    }
)
INTS = st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63), 2**62])
FLOATS = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 1.0, 3.0, 1e300])
TEXTS = st.text("abé😀.", max_size=3)
ROWS = st.fixed_dictionaries(
    {
        "i": st.none() | INTS,
        "j": st.none() | INTS,
        "x": st.none() | FLOATS,
        "y": st.none() | FLOATS,
        "s": st.none() | TEXTS,
        "t": st.none() | TEXTS,
        "b": st.none() | st.booleans(),
        "c": st.none() | st.booleans(),
        "p": st.fixed_dictionaries(
            {"flag": st.none() | st.booleans(), "score": st.none() | FLOATS, "name": st.none() | TEXTS}
        ),
    }
)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def whole_numbers(depth: int) -> st.SearchStrategy[str]:
    simple = st.sampled_from(["i", "j", "size(s)", "t.size()"]) | st.integers(0, 4).map(str)
    if depth == 0:
        return simple
    inner = whole_numbers(depth - 1)
    combined = st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
    return simple | combined | inner.map(lambda each: f"(-{each})")


def numbers(depth: int) -> st.SearchStrategy[str]:
    simple = st.sampled_from(["x", "y", "p.score", "p['score']", "0.25", "1e2", "3.0"])
    if depth == 0:
        return simple
    inner = numbers(depth - 1)
    # celpy divides 0.0 by 0.0 to infinity, where CEL and IEEE 754 have NaN; so division has a divisor of its own.
    combined = st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
    divided = inner.map(lambda each: f"({each} / 4.0)")
    return simple | combined | divided


def texts(depth: int) -> st.SearchStrategy[str]:
    simple = st.sampled_from(["s", "t", "p.name"]) | TEXTS.map(quoted)
    return simple if depth == 0 else simple | st.tuples(texts(0), texts(0)).map(lambda p: f"({p[0]} + {p[1]})")


def conditions(depth: int) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    patterns = st.sampled_from(["'^a'", "'[ab]+$'", r"r'\.'", "'é|b'"])
    calls = st.sampled_from(["startsWith", "endsWith", "contains"])
    simple = st.one_of(
        st.sampled_from(["b", "c", "p.flag", "true", "false"]),
        *(st.tuples(kind(1), signs, kind(1)).map(" ".join) for kind in (whole_numbers, numbers, texts)),
        # Of text that was put together celpy says that it has no methods.
        st.tuples(texts(0), calls, texts(1)).map(lambda p: f"{p[0]}.{p[1]}({p[2]})"),
        st.tuples(texts(0), patterns).map(lambda p: f"{p[0]}.matches({p[1]})"),
        st.tuples(whole_numbers(1), st.lists(st.integers(-2, 3).map(str), max_size=3)).map(
            lambda p: f"{p[0]} in [{', '.join(p[1])}]"
        ),
        st.tuples(texts(0), st.lists(texts(0), max_size=3)).map(lambda p: f"{p[0]} in [{', '.join(p[1])}]"),
        st.sampled_from(["has(p.score)", "has(p.name)", "b == c", "b < c"]),
    )
    if depth == 0:
        return simple
    inner = conditions(depth - 1)
    return st.one_of(
        simple,
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        inner.map(lambda each: f"!({each})"),
        st.tuples(inner, inner, inner).map(lambda p: f"(({p[0]}) ? ({p[1]}) : ({p[2]}))"),
    )


def present(row: dict[str, Any]) -> dict[str, Any]:
    """What is missing in a row is absent in CEL."""
    there = {name: value for name, value in row.items() if value is not None}
    return {name: present(value) if isinstance(value, dict) else value for name, value in there.items()}


@cache
def environment() -> celpy.Environment:
    limit = sys.getrecursionlimit()
    try:
        return celpy.Environment()
    finally:
        sys.setrecursionlimit(limit)  # celpy raises it, for the whole process


def by_celpy(text: str, row: dict[str, Any]) -> bool | None:
    """True, false, or None for an error or no boolean."""
    try:
        program = environment().program(environment().compile(text))
        answer = program.evaluate({name: celpy.json_to_cel(value) for name, value in present(row).items()})
    except (celpy.CELEvalError, IndexError):  # it may fail to print the error that it means to raise
        return None
    return bool(answer) if isinstance(answer, celpy.celtypes.BoolType) else None


NOTHING = dict.fromkeys(SCHEMA) | {"p": {"flag": None, "score": None, "name": None}}


@given(text=conditions(2), rows=st.lists(ROWS, min_size=1, max_size=4))
@example(
    text="(b && (b && i in []))", rows=[dict.fromkeys(SCHEMA) | {"p": {"flag": None, "score": None, "name": None}}]
)
@settings(deadline=None, max_examples=150)
def test_every_row_gets_celpys_answer(text: str, rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    expected = pl.Series("answer", [by_celpy(text, row) for row in rows], pl.Boolean)
    assert_series_equal(frame.with_columns(answer=compile_cel(text, SCHEMA))["answer"], expected)


ROW = pl.DataFrame(
    {
        "status": ["ok"],
        "n": pl.Series([7], dtype=pl.Int32),
        "big": [2**63 - 1],
        "score": pl.Series([0.9], dtype=pl.Float32),
        "nan": [math.nan],
        "none": pl.Series([None], dtype=pl.Float64),
        "tags": [["a", "b"]],
        "grade": pl.Series(["low"], dtype=pl.Enum(["low", "high"])),
        "at": pl.Series([datetime(2013, 1, 1, tzinfo=UTC)], dtype=pl.Datetime("us", "UTC")),
        "p": [{"label": "late", "score": 0.9}],
        "blob": [b"x"],
    }
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("score > 0.8 && status == 'ok'", True),
        ("n * 2 == 14 && n / 2 == 3 && -n / 2 == -3 && -n % 2 == -1", True),
        ("n > 6.5 && n / 2.0 == 3.5", True),
        ("big + 1 > 0", None),
        ("n / 0 == 1 || true", True),
        ("n / 0 == 1 && false", False),
        ("none > 1.0", None),
        ("!(none > 1.0)", None),
        ("none == null && score != null", True),
        ("none in [1.0]", None),
        ("nan > 0.0 || nan < 0.0 || nan == nan", False),
        ("nan != nan", True),
        ("n in [1, 7]", True),
        ("score in [1, 2]", False),
        ("none in [null]", True),
        ("grade == 'low' && grade.size() == 3", True),
        ("tags.size() == 2", True),
        ("at >= timestamp('2013-01-01T00:00:00Z') && at < timestamp('2013-01-02')", True),
        ("has(p.label) && p['label'].startsWith('la')", True),
        ("matches(status, '^o')", True),
        (r"'\u006fk' == status && r'\d' == '\\d'", True),
        ("int(-7.9) == -7 && double(n) == 7.0 && int('12') == 12", True),
        ("(none == null ? 1 : 2.5) == 1", True),
        ("(none > 1.0 ? true : null) == null", True),
        ("0x10 == 16 && 3u == 3", True),
        ("true", True),
    ],
)
def test_what_conditions_mean(text: str, answer: bool | None) -> None:
    assert ROW.with_columns(answer=compile_cel(text, ROW.schema))["answer"].to_list() == [answer]
    assert ROW.filter(compile_cel(text, ROW.schema)).height == (answer is True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scor > 1.0", "there is no column 'scor' (did you mean 'score'?); there is: status, n, "),
        ("p.scor > 1.0", "p has no field 'scor' (did you mean 'score'?); there is: label, score"),
        ("score.a > 1.0", "score has no fields: it is a number (score)"),
        ("score > 'a'", "> can't take a number (score) and text ('a'); write a without quotes"),
        ("status > 3", "write '3' in quotes"),
        ("status == n", "== can't take text (status) and a whole number (n)"),
        ("p > 1", "p has the fields label, score"),
        ("score", "is a number (score), not true or false"),
        ("p.label", "is text (p.label), not true or false"),
        ("score && true", "&& takes true or false, and this is a number (score)"),
        ("!n", "! takes true or false, and this is a whole number (n)"),
        ("-status == 'a'", "- takes a number, and this is text (status)"),
        ("status - 'a' == 'b'", "- can't take text (status) and text ('a')"),
        ("score % 2.0 == 0.0", "% needs two whole numbers"),
        ("n in 'abc'", "`in` takes a list written out"),
        ("n in ['a']", "in can't take a whole number (n) and text ('a')"),
        ("n in tags", "`in` takes a list written out"),
        ("[1] == [1]", "don't support lists outside `in`"),
        ("{'a': 1}.a == 1", "don't support maps"),
        ("n ? true : false", "the question before ? is a whole number (n), not true or false"),
        ("(true ? n : 'a') == n", ": can't take"),
        ("status.startswith('a')", "there is no method 'startswith' (did you mean 'startsWith'?)"),
        ("n.startsWith('a')", "startsWith takes text and one other text; got a whole number (n)"),
        ("status.matches('(')", "'(' is not a regular expression (RE2): unclosed group"),
        ("status.matches(status)", "matches takes a pattern in quotes"),
        ("siz(status) > 1", "there is no function 'siz' (did you mean 'size'?)"),
        ("size(n) > 1", "size takes text or a list; got a whole number (n)"),
        ("double(n, n) > 1.0", "double takes one value; got 2"),
        ("double(at) > 1.0", "double can't take a time (at)"),
        ("at > timestamp('soon')", "timestamp('soon') is no time"),
        ("has(n)", "has takes a field, e.g. has(prediction.score)"),
        ("tags[0] == 'a'", "an index must be a field's name in quotes"),
        ("n == 9223372036854775808", "does not fit 64 bits"),
        ("b'x' == blob", "conditions don't support b'x'"),
        ("blob == null", "blob is of the type Binary, which a condition can't look at"),
        ("null > 1", "> can't take null"),
        ("score >", "is not CEL at column 7: score »>"),
        ("score > 0.8 and n > 1", "is not CEL at column 13: score > 0.8 »and n > 1"),
        ("", "is empty"),
        ("!" * 300 + "true", "is nested deeper than 100 levels"),
        ("||".join(["true"] * 300), "is nested deeper than 100 levels"),
        ("'" + "a" * 2000 + "' == status", "is longer than 2000 characters"),
    ],
)
def test_conditions_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as error:
        compile_cel(text, ROW.schema)
    assert message in str(error.value)
    assert str(error.value).startswith("the condition ")


@given(st.text("abs.()[]{}!&|<>=+-*/%?:'\"\\ 0123,_", max_size=25))
@settings(deadline=None, max_examples=200)
def test_any_text_is_compiled_or_refused(text: str) -> None:
    with contextlib.suppress(ManifestError):
        assert isinstance(compile_cel(text, SCHEMA), pl.Expr)


def test_a_long_condition_still_runs() -> None:
    text = " || ".join(f"n == {i}" for i in range(90))
    assert ROW.filter(compile_cel(text, ROW.schema)).height == 1


def test_the_text_is_checked_where_the_manifest_is_read() -> None:
    adapter = TypeAdapter(CelText)
    assert isinstance(adapter.validate_python("a > 1"), CelText)
    assert adapter.dump_json(CelText("a > 1")) == b'"a > 1"'
    with pytest.raises(ValidationError, match="is not CEL at column 3"):
        adapter.validate_python("a >")


def test_names_are_those_of_columns() -> None:
    assert names_in("p.score > limit && status.startsWith('x') && has(q.a)") == {"p", "limit", "status", "q"}


def test_reading_conditions_leaves_the_process_alone() -> None:
    limit = sys.getrecursionlimit()
    CelText(f"a > {limit}")
    assert sys.getrecursionlimit() == limit
