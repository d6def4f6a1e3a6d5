"""CEL: conditions on columns, checked once and run as one Polars expression.

Conditions are written in the Common Expression Language (https://github.com/google/cel-spec) and parsed by celpy.
A condition sees one row: columns by their names, fields of a struct as ``prediction.score``. What CEL calls an error (a
missing value in a comparison, a division by zero, an overflow) is null here: ``&&`` and ``||`` absorb it as CEL says,
and a filter takes it as false. An integer beside a double is taken as a double.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from flywheel.errors import ManifestError

if TYPE_CHECKING:
    import polars as pl
    from lark import Tree
    from pydantic import GetCoreSchemaHandler, ValidationInfo
    from pydantic_core import CoreSchema

MAX_LENGTH = 2000
MAX_NESTING = 100
# The context of a validation whose text was checked when it was applied. Conditions are compiled again where they are
# used; what only asks for another part of the manifest does without the parser and Polars, half a second.
APPLIED = "applied"


class CelText(str):
    """An expression whose syntax is valid; a ValueError points at what is not.

    >>> CelText("score > 0.8 and late")
    Traceback (most recent call last):
    ...
    ValueError: is not CEL at column 13: score > 0.8 »and late
    """

    def __new__(cls, text: str) -> Self:
        parse_cel(text)
        return super().__new__(cls, text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.with_info_after_validator_function(cls._validated, core_schema.str_schema())

    @classmethod
    def _validated(cls, text: str, info: ValidationInfo) -> Self:
        return str.__new__(cls, text) if info.context == APPLIED else cls(text)


def compile_cel(text: str, schema: pl.Schema) -> pl.Expr:
    """Turn a condition into a boolean expression over the columns of ``schema``, null where CEL has an error.

    Raises
    ------
    ManifestError
        A column or field that is not there, types that don't compare, a function that is not supported, or a result
        that is not true or false.

    >>> import polars as pl
    >>> rows = pl.DataFrame({"status": ["ok", "ok", "passthrough"], "score": [0.9, 0.1, None]})
    >>> rows.filter(compile_cel("status == 'ok' && score > 0.8", rows.schema)).rows()
    [('ok', 0.9)]
    """
    try:
        return check_condition(text, schema)
    except ValueError as error:
        raise ManifestError(f"the condition {text!r} can't be used: {error}") from None


def check_condition(text: str, schema: pl.Schema) -> pl.Expr:
    """The same as ``compile_cel``, with a ValueError that has only the reason."""
    from flywheel.manifest.cel_compile import Compiler

    operand = Compiler(text, schema).compile(parse_cel(text))
    if operand.kind != "bool":
        raise ValueError(f"is {operand.described}, not true or false")
    return operand.expr


def names_in(text: str) -> set[str]:
    """The columns that a condition may look at.

    >>> sorted(names_in("prediction.score > limit && size(name) > 3"))
    ['limit', 'name', 'prediction']
    """
    return {str(ident.children[0]) for ident in parse_cel(text).find_data("ident")}


@lru_cache(maxsize=256)
def parse_cel(text: str) -> Tree[Any]:
    """Return celpy's syntax tree; a ValueError says where the syntax is wrong."""
    # Not celpy.Environment, which changes the recursion limit of the whole process.
    from celpy.celparser import CELParseError, CELParser

    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    if not text.strip():
        raise ValueError("is empty; write a condition, e.g. prediction.score > 0.8")
    try:
        tree: Tree[Any] = CELParser().parse(text)
    except CELParseError as error:
        line, column = error.line or 1, error.column or 1
        rows = text.splitlines()
        row = rows[min(line, len(rows)) - 1]
        raise ValueError(f"is not CEL at column {column}: {row[: column - 1]}»{row[column - 1 :]}") from None
    if _nesting(tree) > MAX_NESTING:
        raise ValueError(f"is nested deeper than {MAX_NESTING} levels")
    return tree


def _nesting(tree: Tree[Any]) -> int:
    """The depth of the tree, not counting the grammar's pass-through levels."""
    deepest, open_trees = 0, [(tree, 0)]
    while open_trees:
        node, depth = open_trees.pop()
        deepest = max(deepest, depth)
        inside = depth + (len(node.children) > 1 or node.data in ("paren_expr", "list_lit"))
        open_trees.extend((child, inside) for child in node.children if hasattr(child, "children"))
    return deepest
