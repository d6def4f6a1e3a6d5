"""The typed values that a CEL condition is made of, and the operators on them, as Polars expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

Kind = Literal["bool", "int", "double", "string", "time", "struct", "list", "null"]

_ORDERS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_WORDS: dict[Kind, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "double": "a number",
    "string": "text",
    "time": "a time",
    "struct": "a struct",
    "list": "a list",
    "null": "null",
}


class CelError(ValueError):
    """A condition that the columns do not allow."""


@dataclass(frozen=True)
class Operand:
    """An expression, its kind, how it was written, and for a literal its value."""

    expr: pl.Expr
    kind: Kind
    text: str
    dtype: pl.DataType | None = None
    literal: Any = field(default=None)

    @property
    def described(self) -> str:
        return f"{_WORDS[self.kind]} ({self.text})"

    @property
    def is_number(self) -> bool:
        return self.kind in ("int", "double")

    @property
    def is_literal(self) -> bool:
        return self.literal is not None


def column(expr: pl.Expr, dtype: pl.DataType, text: str) -> Operand:
    """Wrap a column or a struct's field."""
    if dtype.is_integer():
        return Operand(expr.cast(pl.Int64), "int", text, dtype)
    if dtype.is_float():
        return Operand(expr.cast(pl.Float64), "double", text, dtype)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return Operand(expr.cast(pl.String), "string", text, dtype)
    kinds: list[tuple[type[pl.DataType], Kind]] = [
        (pl.String, "string"),
        (pl.Boolean, "bool"),
        (pl.Datetime, "time"),
        (pl.Struct, "struct"),
        (pl.List, "list"),
    ]
    for base, kind in kinds:
        if isinstance(dtype, base):
            return Operand(expr, kind, text, dtype)
    raise CelError(f"{text} is of the type {dtype}, which a condition can't look at")


def equal(left: Operand, right: Operand) -> pl.Expr:
    """CEL's ``==``: the literal null asks whether a value is missing, NaN equals nothing."""
    if right.kind == "null":
        return left.expr.is_null()
    if left.kind == "null":
        return right.expr.is_null()
    _comparable(left, "==", right)
    return _without_nan(left.expr == right.expr, left, right)


def order(left: Operand, sign: str, right: Operand) -> pl.Expr:
    """``<``, ``<=``, ``>`` and ``>=``; anything beside NaN is false, unlike in Polars, where NaN is the largest."""
    _comparable(left, sign, right)
    return _without_nan(_ORDERS[sign](left.expr, right.expr), left, right)


def member(left: Operand, items: list[Operand]) -> pl.Expr:
    """``left in [items]``."""
    if not items:
        return pl.when(left.expr.is_not_null()).then(False)
    for item in items:
        if item.kind != "null":
            _comparable(left, "in", item)
    if left.kind in ("string", "int") and all(item.is_literal and item.kind == left.kind for item in items):
        return left.expr.is_in([item.literal for item in items])
    found = pl.any_horizontal([equal(left, item) for item in items])
    computed = [item.expr.is_not_null() for item in items if not item.is_literal and item.kind != "null"]
    return pl.when(pl.all_horizontal(computed)).then(found) if computed else found


def arithmetic(left: Operand, sign: str, right: Operand, text: str) -> Operand:
    """``+``, ``-``, ``*``, ``/`` and ``%``; integers divide towards zero, and give null where they overflow."""
    if sign == "+" and left.kind == right.kind == "string":
        return Operand(left.expr + right.expr, "string", text)
    if not (left.is_number and right.is_number):
        raise _mismatch(left, sign, right)
    if left.kind == right.kind == "int":
        return Operand(_whole(left.expr, sign, right.expr), "int", text)
    if sign == "%":
        raise CelError(f"% needs two whole numbers; got {left.described} and {right.described}")
    a, b = left.expr.cast(pl.Float64), right.expr.cast(pl.Float64)
    results = {"+": a + b, "-": a - b, "*": a * b, "/": a / b}
    return Operand(results[sign], "double", text)


def _whole(left: pl.Expr, sign: str, right: pl.Expr) -> pl.Expr:
    a, b = left.cast(pl.Int128), right.cast(pl.Int128)
    if sign in ("/", "%"):
        quotient = (a.abs() // b.abs()) * a.sign() * b.sign()
        result = quotient if sign == "/" else a - quotient * b
    else:
        result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return result.cast(pl.Int64, strict=False)


def choose(test: Operand, yes: Operand, no: Operand, text: str) -> Operand:
    """``test ? yes : no``."""
    if test.kind != "bool":
        raise CelError(f"the question before ? is {test.described}, not true or false")
    if yes.is_number and no.is_number and yes.kind != no.kind:
        yes, no = as_double(yes, yes.text), as_double(no, no.text)
    kind = yes.kind if no.kind == "null" else no.kind
    if "null" not in (yes.kind, no.kind) and yes.kind != no.kind:
        raise _mismatch(yes, ":", no)
    return Operand(pl.when(test.expr).then(yes.expr).when(~test.expr).then(no.expr), kind, text)


def as_double(operand: Operand, text: str) -> Operand:
    return Operand(operand.expr.cast(pl.Float64, strict=False), "double", text)


def as_int(operand: Operand, text: str) -> Operand:
    return Operand(operand.expr.cast(pl.Int64, strict=False), "int", text)


def _without_nan(answer: pl.Expr, *operands: Operand) -> pl.Expr:
    for operand in operands:
        if operand.kind == "double" and not operand.is_literal:
            answer = answer & operand.expr.is_not_nan()
    return answer


def _comparable(left: Operand, sign: str, right: Operand) -> None:
    same = left.kind == right.kind and left.kind not in ("struct", "list", "null")
    if not same and not (left.is_number and right.is_number):
        raise _mismatch(left, sign, right)


def _mismatch(left: Operand, sign: str, right: Operand) -> CelError:
    hint = ""
    for one, other in ((left, right), (right, left)):
        if one.kind == "string" and one.is_literal and other.is_number:
            hint = f"; write {one.literal} without quotes"
        if one.is_literal and one.is_number and other.kind == "string":
            hint = f"; write '{one.literal}' in quotes"
        if one.kind == "struct" and isinstance(one.dtype, pl.Struct):
            hint = f"; {one.text} has the fields {', '.join(f.name for f in one.dtype.fields)}"
    return CelError(f"{sign} can't take {left.described} and {right.described}{hint}")
