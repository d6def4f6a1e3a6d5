"""A visitor over celpy's syntax tree that gives one typed Polars expression."""

from __future__ import annotations

from typing import Any

import polars as pl
from lark import Token, Tree

from flywheel.errors import did_you_mean
from flywheel.manifest.cel_functions import FUNCTIONS, METHODS, call, convert
from flywheel.manifest.cel_operand import (
    CelError,
    Operand,
    arithmetic,
    choose,
    column,
    equal,
    member,
    order,
)

_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%"}
_LITERALS = ("list_lit", "map_lit")
_INT64 = range(-(2**63), 2**63)


class Compiler:
    """Compiles the trees of one source text against one schema."""

    def __init__(self, source: str, schema: pl.Schema) -> None:
        self._source = source
        self._schema = schema

    def compile(self, tree: Tree[Any]) -> Operand:
        tree = _descend(tree)
        visit = getattr(self, f"_{tree.data}", None)
        if visit is None:
            raise CelError(f"conditions don't support {_words(tree)} (in {self._text(tree)})")
        operand: Operand = visit(tree)
        return operand

    def _expr(self, tree: Tree[Any]) -> Operand:
        test, yes, no = (self.compile(child) for child in tree.children)
        return choose(test, yes, no, self._text(tree))

    def _conditionalor(self, tree: Tree[Any]) -> Operand:
        left, right = self._both(tree, "||")
        return Operand(left | right, "bool", self._text(tree))

    def _conditionaland(self, tree: Tree[Any]) -> Operand:
        left, right = self._both(tree, "&&")
        return Operand(left & right, "bool", self._text(tree))

    def _both(self, tree: Tree[Any], sign: str) -> tuple[pl.Expr, pl.Expr]:
        left, right = (self.compile(child) for child in tree.children)
        for side in (left, right):
            if side.kind != "bool":
                raise CelError(f"{sign} takes true or false, and this is {side.described}")
        return left.expr, right.expr

    def _relation(self, tree: Tree[Any]) -> Operand:
        operator, right_tree = tree.children
        name = str(operator.data).removeprefix("relation_")
        left = self.compile(operator.children[0])
        if name == "in":
            return Operand(self._in(left, right_tree), "bool", self._text(tree))
        right = self.compile(right_tree)
        if name in ("eq", "ne"):
            same = equal(left, right)
            return Operand(same if name == "eq" else ~same, "bool", self._text(tree))
        return Operand(order(left, _SIGNS[name], right), "bool", self._text(tree))

    def _in(self, left: Operand, tree: Tree[Any]) -> pl.Expr:
        listed = _descend(tree)
        if listed.data != "list_lit":
            raise CelError(f"`in` takes a list written out, e.g. ['a', 'b']; got {self._text(tree)}")
        return member(left, self._arguments(listed))

    def _addition(self, tree: Tree[Any]) -> Operand:
        operator, right = tree.children
        sign = _SIGNS[str(operator.data).rsplit("_", 1)[1]]
        return arithmetic(self.compile(operator.children[0]), sign, self.compile(right), self._text(tree))

    _multiplication = _addition

    def _unary(self, tree: Tree[Any]) -> Operand:
        operator, inner = tree.children
        operand = self.compile(inner)
        if operator.data == "unary_not":
            if operand.kind != "bool":
                raise CelError(f"! takes true or false, and this is {operand.described}")
            return Operand(~operand.expr, "bool", self._text(tree))
        if not operand.is_number:
            raise CelError(f"- takes a number, and this is {operand.described}")
        if operand.kind == "double":
            return Operand(-operand.expr, "double", self._text(tree))
        zero = Operand(pl.lit(0, pl.Int64), "int", "0", literal=0)
        return arithmetic(zero, "-", operand, self._text(tree))

    def _member_dot(self, tree: Tree[Any]) -> Operand:
        return self._field(self.compile(tree.children[0]), str(tree.children[1]), self._text(tree))

    def _member_index(self, tree: Tree[Any]) -> Operand:
        key = self.compile(tree.children[1])
        if not isinstance(key.literal, str):
            raise CelError(f"an index must be a field's name in quotes; got {key.described}")
        return self._field(self.compile(tree.children[0]), key.literal, self._text(tree))

    def _field(self, parent: Operand, name: str, text: str) -> Operand:
        if not isinstance(parent.dtype, pl.Struct):
            raise CelError(f"{parent.text} has no fields: it is {parent.described}")
        fields = pl.Schema(parent.dtype)
        if name not in fields:
            listing = ", ".join(fields)
            raise CelError(f"{parent.text} has no field {name!r}{did_you_mean(name, fields)}; there is: {listing}")
        return column(parent.expr.struct.field(name), fields[name], text)

    def _ident(self, tree: Tree[Any]) -> Operand:
        name = str(tree.children[0])
        if name not in self._schema:
            listing = ", ".join(self._schema) or "none"
            raise CelError(f"there is no column {name!r}{did_you_mean(name, self._schema)}; there is: {listing}")
        return column(pl.col(name), self._schema[name], name)

    def _literal(self, tree: Tree[Any]) -> Operand:
        from celpy.evaluation import celstr

        token = next(iter(tree.scan_values(lambda leaf: isinstance(leaf, Token))))
        text = str(token)
        match token.type:
            case "BOOL_LIT":
                return Operand(pl.lit(text == "true"), "bool", text, literal=text == "true")
            case "NULL_LIT":
                return Operand(pl.lit(None), "null", text)
            case "FLOAT_LIT":
                return Operand(pl.lit(float(text)), "double", text, literal=float(text))
            case "INT_LIT" | "UINT_LIT":
                return _whole_number(text)
            case "STRING_LIT" | "MLSTRING_LIT":
                value = str(celstr(token))
                return Operand(pl.lit(value), "string", text, literal=value)
        raise CelError(f"conditions don't support {text}")

    def _ident_arg(self, tree: Tree[Any]) -> Operand:
        name = str(tree.children[0])
        if name == "has":
            return self._has(tree)
        if name not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise CelError(f"there is no function {name!r}{did_you_mean(name, FUNCTIONS)}; there is: {known}")
        arguments = self._arguments(tree)
        if name in ("size", "matches") and arguments:
            return call(name, arguments[0], arguments[1:], self._text(tree))
        if len(arguments) != 1:
            raise CelError(f"{name} takes one value; got {len(arguments)} in {self._text(tree)}")
        return convert(name, arguments[0], self._text(tree))

    def _has(self, tree: Tree[Any]) -> Operand:
        inner = _descend(tree.children[-1]) if len(tree.children) == 2 else tree
        if inner.data != "member_dot":
            raise CelError(f"has takes a field, e.g. has(prediction.score); got {self._text(tree)}")
        return Operand(self.compile(inner).expr.is_not_null(), "bool", self._text(tree))

    def _member_dot_arg(self, tree: Tree[Any]) -> Operand:
        name = str(tree.children[1])
        if name not in METHODS:
            known = ", ".join(METHODS)
            raise CelError(f"there is no method {name!r}{did_you_mean(name, METHODS)}; there is: {known}")
        return call(name, self.compile(tree.children[0]), self._arguments(tree), self._text(tree))

    def _text(self, tree: Tree[Any]) -> str:
        """The part of the source that the tree was read from."""
        start, end = getattr(tree.meta, "start_pos", None), getattr(tree.meta, "end_pos", None)
        return self._source[start:end]

    def _arguments(self, tree: Tree[Any]) -> list[Operand]:
        lists = [child for child in tree.children if isinstance(child, Tree) and child.data == "exprlist"]
        return [self.compile(argument) for each in lists for argument in each.children]


def _whole_number(text: str) -> Operand:
    digits = text.rstrip("uU")
    value = int(digits, 16 if "x" in digits else 10)
    if value not in _INT64:
        raise CelError(f"{text} does not fit 64 bits")
    return Operand(pl.lit(value, pl.Int64), "int", text, literal=value)


def _descend(tree: Tree[Any]) -> Tree[Any]:
    while len(tree.children) == 1 and isinstance(tree.children[0], Tree) and tree.data not in _LITERALS:
        tree = tree.children[0]
    return tree


def _words(tree: Tree[Any]) -> str:
    return {"map_lit": "maps", "member_object": "messages"}.get(str(tree.data), "lists outside `in`")
