"""Spoils a few records the ways real ones are: for tests, and to see what quarantine looks like."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np


def wrong_type(record: dict[str, Any]) -> str:
    """The cpu usage is a word."""
    record["metrics"]["cpu"]["usage_percent"] = "high"
    return json.dumps(record, separators=(",", ":"))


def missing_field(record: dict[str, Any]) -> str:
    """The error rate is not there."""
    del record["metrics"]["http"]["error_rate"]
    return json.dumps(record, separators=(",", ":"))


def nan_as_null(record: dict[str, Any]) -> str:
    """The cpu usage is null: what a NaN becomes in JSON."""
    record["metrics"]["cpu"]["usage_percent"] = None
    return json.dumps(record, separators=(",", ":"))


def duplicate(record: dict[str, Any]) -> str:
    """The record comes twice."""
    text = json.dumps(record, separators=(",", ":"))
    return f"{text}\n{text}"


def cut_short(record: dict[str, Any]) -> str:
    """The line ends in the middle."""
    text = json.dumps(record, separators=(",", ":"))
    return text[: len(text) // 2]


WAYS: tuple[Callable[[dict[str, Any]], str], ...] = (wrong_type, missing_field, nan_as_null, duplicate, cut_short)


def spoil(lines: list[str], count: int, seed: int) -> list[str]:
    """Return the NDJSON ``lines`` with ``count`` of them spoiled: the first in way number ``seed``, then the next."""
    chosen = np.random.default_rng(seed).choice(len(lines), size=min(count, len(lines)), replace=False)
    spoiled = {int(line): WAYS[(seed + number) % len(WAYS)] for number, line in enumerate(chosen)}
    return [spoiled[number](json.loads(line)) if number in spoiled else line for number, line in enumerate(lines)]
