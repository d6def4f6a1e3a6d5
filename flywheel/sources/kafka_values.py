"""Kafka messages as records: one parse for all of them, by the code that reads NDJSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.json_values import extract_json
from flywheel.records.records import Records, read_records
from flywheel.sources.lines import to_text
from flywheel.sources.ndjson import json_errors

if TYPE_CHECKING:
    from confluent_kafka import Message

Column = Callable[["Sequence[Message]"], pl.Series]

_UNKNOWN_TIME = 0  # TIMESTAMP_NOT_AVAILABLE


def message_values(messages: Sequence[Message], paths: Sequence[JsonPath]) -> pl.DataFrame:
    """Return a column per path: a field of the JSON value, or, by the reserved names, of the message around it."""
    return _columns(messages, to_text(_bytes([message.value() for message in messages])), paths)[0]


def message_records(messages: Sequence[Message], part: str, start: int, paths: Sequence[JsonPath]) -> Records:
    """Return the messages as rows ``start``, ``start + 1``, … of ``part``; a bad value is a record with an error."""
    content = _bytes([message.value() for message in messages])
    text = to_text(content)
    values, kinds = _columns(messages, text, paths)
    errors = pl.select(
        pl.when(content.is_null()).then(pl.lit("has no value (a tombstone)")).otherwise(json_errors(text, kinds))
    ).to_series()
    return read_records(values, part, start, _mended(content, text), errors)


def _columns(messages: Sequence[Message], text: pl.Series, paths: Sequence[JsonPath]) -> tuple[pl.DataFrame, pl.Series]:
    around = {path: column for path in paths if (column := _reserved(path)) is not None}
    inside = [path for path in paths if path not in around]
    found = extract_json(text, [path.segments for path in inside])
    fields = dict(zip(inside, found.columns, strict=True))
    columns = [around[path](messages) if path in around else fields[path] for path in paths]
    return pl.DataFrame([column.alias(path) for column, path in zip(columns, paths, strict=True)]), found.kinds


def _reserved(path: JsonPath) -> Column | None:
    """Return what reads a reserved path; None for a path into the value."""
    match path.segments:
        case ("kafka.key",):
            return _keys
        case ("kafka.timestamp",):
            return _timestamps
        case ("kafka.partition",):
            return _partitions
        case ("kafka.offset",):
            return _offsets
        case ("kafka.headers", str(name)):
            return partial(_headers, name=name)
    return None


def _keys(messages: Sequence[Message]) -> pl.Series:
    return to_text(_bytes([message.key() for message in messages]))


def _timestamps(messages: Sequence[Message]) -> pl.Series:
    pairs = [message.timestamp() for message in messages]
    millis = [time if kind != _UNKNOWN_TIME else None for kind, time in pairs]
    return pl.Series(millis, dtype=pl.Int64).cast(pl.Datetime("ms", "UTC")).cast(pl.Datetime("us", "UTC"))


def _partitions(messages: Sequence[Message]) -> pl.Series:
    return pl.Series([message.partition() for message in messages], dtype=pl.Int64)


def _offsets(messages: Sequence[Message]) -> pl.Series:
    return pl.Series([message.offset() for message in messages], dtype=pl.Int64)


def _headers(messages: Sequence[Message], name: str) -> pl.Series:
    """The last header of that name, as consumers of Kafka take it."""
    return to_text(_bytes([dict(message.headers() or ()).get(name) for message in messages]))


def _bytes(values: Sequence[bytes | str | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Binary)


def _mended(content: pl.Series, text: pl.Series) -> pl.Series:
    """The values as text, bad bytes replaced."""
    broken = text.is_null() & content.is_not_null()
    if not broken.any():
        return text
    replaced = [value.decode(errors="replace") for value in content.filter(broken)]
    return text.clone().scatter(broken.arg_true(), pl.Series(replaced, dtype=pl.String))
