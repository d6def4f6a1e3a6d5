"""Reads the DuckDB statements under ``sql/``, one a file."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def load(name: str) -> str:
    """Return the text of ``sql/{name}.sql``; its header says which parameters it takes."""
    return (resources.files("sql") / f"{name}.sql").read_text(encoding="utf-8")
