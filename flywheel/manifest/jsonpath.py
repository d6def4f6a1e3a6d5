"""JSONPath to exactly one value: the singular queries of RFC 9535."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

MAX_LENGTH = 500


class JsonPath(str):
    """A JSONPath that leads to at most one value, e.g. ``$.metrics.cpu`` or ``$['a b'][0]``.

    Wildcards, slices, filters and ``..`` are refused, since a feature or an id is one value. A ValueError says what is
    wrong. References: RFC 9535, section 2.3.5.1 (singular queries).

    >>> JsonPath("$.metrics['cpu usage'][0]").segments
    ('metrics', 'cpu usage', 0)
    >>> JsonPath("$.metrics[*]")
    Traceback (most recent call last):
    ...
    ValueError: may lead to several values; only names and indexes are allowed here: $.a.b, $['a b'] or $.a[0]
    """

    def __new__(cls, text: str) -> Self:
        path = super().__new__(cls, text)
        if "*" in path.segments and any(isinstance(step, int) and step < 0 for step in path.segments):
            # DuckDB reads such a key as a wildcard, unless every index counts from the start.
            raise ValueError("has a field called * and an index from the end; count from the start: [0]")
        return path

    @cached_property
    def segments(self) -> tuple[str | int, ...]:
        """The names (str) and indexes (int, negative from the end) that lead from the record to the value."""
        from jsonpath_rfc9535.selectors import IndexSelector, NameSelector

        steps: list[str | int] = []
        for segment in _parse(self).segments:
            selector = segment.selectors[0]
            if isinstance(selector, NameSelector):
                steps.append(selector.name)
            elif isinstance(selector, IndexSelector):
                steps.append(selector.index)
        return tuple(steps)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(max_length=MAX_LENGTH))


def _parse(text: str) -> JSONPathQuery:
    import jsonpath_rfc9535

    if not text.startswith("$"):
        raise ValueError(f"a JSONPath starts with $: $.{text.lstrip('.')}")
    try:
        query = jsonpath_rfc9535.compile(text)
    except jsonpath_rfc9535.JSONPathError as error:
        raise ValueError(f"is not a JSONPath (RFC 9535): {str(error).splitlines()[0]}") from None
    if not query.singular_query():
        raise ValueError(
            "may lead to several values; only names and indexes are allowed here: $.a.b, $['a b'] or $.a[0]"
        )
    if query.empty():
        raise ValueError("leads to the whole record; name a field: $.a")
    return query
