"""The functions and methods of CEL that conditions may call."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from flywheel.manifest.cel_operand import CelError, Operand, as_double, as_int
from flywheel.manifest.fields import assume_utc

METHODS = ("startsWith", "endsWith", "contains", "matches", "size")
FUNCTIONS = ("has", "size", "matches", "double", "int", "timestamp")


def call(name: str, subject: Operand, arguments: list[Operand], text: str) -> Operand:
    """Call one of ``METHODS``, written as ``subject.name(arguments)`` or ``name(subject, arguments)``."""
    if name == "size" and not arguments and subject.kind in ("string", "list"):
        length = subject.expr.str.len_chars() if subject.kind == "string" else subject.expr.list.len()
        return Operand(length.cast(pl.Int64), "int", text)
    if name == "size" or subject.kind != "string" or [argument.kind for argument in arguments] != ["string"]:
        takes = "text or a list" if name == "size" else "text and one other text"
        got = " and ".join(operand.described for operand in (subject, *arguments))
        raise CelError(f"{name} takes {takes}; got {got}")
    string, other = subject.expr.str, arguments[0].expr
    match name:
        case "startsWith":
            return Operand(string.starts_with(other), "bool", text)
        case "endsWith":
            return Operand(string.ends_with(other), "bool", text)
        case "contains":
            return Operand(string.contains(other, literal=True), "bool", text)
    return Operand(string.contains(_pattern(arguments[0])), "bool", text)


def convert(name: str, operand: Operand, text: str) -> Operand:
    """``double(x)``, ``int(x)`` (towards zero) and ``timestamp('…')``; null for text that is no number."""
    if name == "timestamp" and isinstance(operand.literal, str):
        return _timestamp(operand.literal, text)
    if name == "timestamp" or not (operand.is_number or operand.kind == "string"):
        raise CelError(f"{name} can't take {operand.described}")
    return as_double(operand, text) if name == "double" else as_int(operand, text)


def _timestamp(written: str, text: str) -> Operand:
    try:
        moment = assume_utc(datetime.fromisoformat(written))
    except ValueError:
        raise CelError(f"{text} is no time; write it as timestamp('2013-01-31T00:00:00Z')") from None
    return Operand(pl.lit(moment, pl.Datetime("us", "UTC")), "time", text)


def _pattern(operand: Operand) -> str:
    if not isinstance(operand.literal, str):
        raise CelError(f"matches takes a pattern in quotes; got {operand.text}")
    try:
        pl.select(pl.lit("").str.contains(operand.literal))
    except pl.exceptions.PolarsError as error:
        lines = str(error).splitlines()
        reason = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[0])
        raise CelError(f"{operand.text} is not a regular expression (RE2): {reason}") from None
    return operand.literal
