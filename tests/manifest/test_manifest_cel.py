"""A compiled condition says of every row what celpy's own evaluation says of it."""

from __future__ import annotations

import sys
from typing import Any

import celpy
import polars as pl
import pytest
from hypothesis import given, settings
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
ENVIRONMENT = celpy.Environment()
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
    calls = st.sampled_from(["startsWith", "endsWith", "contains"])
    simple = st.one_of(
        st.sampled_from(["b", "c", "p.flag", "true", "false"]),
        *(st.tuples(kind(1), signs, kind(1)).map(" ".join) for kind in (whole_numbers, numbers, texts)),
        st.tuples(texts(1), calls, texts(0)).map(lambda p: f"{p[0]}.{p[1]}({p[2]})"),
        st.tuples(texts(0), st.sampled_from(["'^a'", "'[ab]+$'", r"r'\.'", "'é|b'"])).map(lambda p: f"{p[0]}.matches({p[1]})"),
        st.tuples(whole_numbers(1), st.lists(st.integers(-2, 3).map(str), max_size=3)).map(
            lambda p: f"{p[0]} in [{', '.join(p[1])}]"
        ),
        st.tuples(texts(0), st.lists(texts(0), max_size=3)).map(lambda p: f"{p[0]} in [{', '.join(p[1])}]"),
        st.sampled_from(["has(p.score)", "has(p.name)", "i == null", "null != s", "b == c", "b < c"]),
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


def by_celpy(text: str, row: dict[str, Any]) -> bool | None:
    """True, false, or None for an error or no boolean; a missing field of a struct is absent."""
    present = {**row, "p": {name: value for name, value in row["p"].items() if value is not None}}
    limit = sys.getrecursionlimit()
    try:
        # celpy raises the recursion limit of the whole process when it makes a program.
        program = ENVIRONMENT.program(ENVIRONMENT.compile(text))
        answer = program.evaluate({name: celpy.json_to_cel(value) for name, value in present.items()})
    except celpy.CELEvalError:
        return None
    finally:
        sys.setrecursionlimit(limit)
    return bool(answer) if isinstance(answer, celpy.celtypes.BoolType) else None


@given(text=conditions(2), rows=st.lists(ROWS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=250)
def test_every_row_gets_celpys_answer(text: str, rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    expected = pl.Series("answer", [by_celpy(text, row) for row in rows], pl.Boolean)
    assert_series_equal(frame.with_columns(answer=compile_cel(text, SCHEMA))["answer"], expected)
