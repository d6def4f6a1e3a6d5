"""From YAML text to plain data that remembers its lines.

A reader of its own, over ruamel.yaml's events, since each of these must be a problem with a line and none a traceback:
a key given twice, a tag, a key that is not text, nesting without end, anchors that expand without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

from flywheel.manifest.problems import Problem

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 40
MAX_VALUES = 20_000


@dataclass(frozen=True)
class Node:
    """A value, the line that it starts on (from 1), and the nodes inside it; ``values`` counts aliases each time."""

    value: Any
    line: int
    values: int = 1
    children: dict[str | int, Node] = field(default_factory=dict)

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """The line of the value at ``path``, or of the deepest value on the way to it."""
        node = self
        for step in path:
            if step not in node.children:
                break
            node = node.children[step]
        return node.line


@dataclass(frozen=True)
class YamlDocument:
    """One document of a file: its root and its text as written."""

    root: Node
    text: str


def read_yaml(text: str, file: str) -> tuple[list[YamlDocument], list[Problem]]:
    """Return the documents of ``text`` that are not empty, and what is wrong with the others."""
    if len(text) > MAX_CHARACTERS:
        return [], [Problem(file, 1, "", "", f"is longer than {MAX_CHARACTERS:,} characters; is it a manifest?")]
    reader = _Reader(text, file)
    try:
        roots = reader.roots()
    except _UnreadableError as stop:
        return [], [*reader.problems, stop.problem]
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return [], [*reader.problems, Problem(file, line, "", "", _syntax(error.problem or str(error)))]
    except (YAMLError, ValueError) as error:
        return [], [*reader.problems, Problem(file, 1, "", "", _syntax(str(error).splitlines()[0]))]
    if not roots and not reader.problems:
        return [], [Problem(file, 1, "", "", "is empty; a manifest starts with `apiVersion: flywheel-ml.io/v1`")]
    return roots, reader.problems


def _syntax(reason: str) -> str:
    if "'\\t'" in reason:
        reason = "a tab where YAML takes only spaces"
    return f"is not YAML: {reason}"


class _UnreadableError(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Reader:
    """Builds nodes from events; problems that leave the rest readable are collected."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._text = text
        self._yaml = YAML(typ="safe", pure=True)
        self._anchors: dict[str, Node] = {}

    def roots(self) -> list[YamlDocument]:
        found: list[tuple[int, Node]] = []
        events: Iterator[Event] = self._yaml.parse(self._text)
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if event.version or event.tags:
                    self._stop(event, "has a YAML directive (%); write plain YAML")
                self._anchors = {}
                found.append((event.start_mark.line, self._node(next(events), events, 1)))
        lines = self._text.splitlines(keepends=True)
        starts = [0, *(start for start, _ in found[1:]), len(lines)]
        texts = ["".join(lines[start:stop]) for start, stop in pairwise(starts)]
        documents = [YamlDocument(root, text) for (_, root), text in zip(found, texts, strict=False)]
        return [document for document in documents if document.root.value is not None]

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._stop(event, f"is nested deeper than {MAX_DEPTH} levels")
        if not isinstance(event, NodeEvent):
            self._stop(event, "ends too early")
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                self._stop(event, f"*{event.anchor} has no anchor &{event.anchor} before it")
            return self._anchors[event.anchor]
        node = self._new_node(event, events, depth)
        if node.values > MAX_VALUES:
            self._stop(event, f"holds more than {MAX_VALUES:,} values once its anchors are filled in")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _new_node(self, event: NodeEvent, events: Iterator[Event], depth: int) -> Node:
        tag = getattr(event, "ctag", None)
        if tag is not None:
            self._problem(event, tag, "is a YAML tag; write the plain value, in quotes where it is text")
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, events, depth)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(event, events, depth)
        return self._scalar(event)

    def _scalar(self, event: Any) -> Node:
        line = event.start_mark.line + 1
        if not event.implicit[0]:
            return Node(event.value, line)
        tag = str(self._yaml.resolver.resolve(ScalarNode, event.value, event.implicit))
        if tag.endswith((":merge", ":value")):
            return Node(event.value, line)
        try:
            return Node(self._yaml.constructor.construct_object(ScalarNode(tag, event.value)), line)
        except ValueError:
            self._problem(event, event.value, "cannot be read; put it in quotes if it is text")
            return Node(event.value, line)

    def _sequence(self, start: Event, events: Iterator[Event], depth: int) -> Node:
        children: dict[str | int, Node] = {}
        while not isinstance(event := next(events), SequenceEndEvent):
            children[len(children)] = self._node(event, events, depth + 1)
        values = 1 + sum(child.values for child in children.values())
        return Node([child.value for child in children.values()], start.start_mark.line + 1, values, children)

    def _mapping(self, start: Event, events: Iterator[Event], depth: int) -> Node:
        own: dict[str | int, Node] = {}
        merged: dict[str | int, Node] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key = self._node(event, events, depth + 1)
            child = self._node(next(events), events, depth + 1)
            if key.value == "<<" and isinstance(event, ScalarEvent) and event.style is None:
                merged = self._merge(event, child) | merged
            elif not isinstance(key.value, str):
                self._problem(event, str(key.value), "is a key that is not text; put it in quotes")
            elif key.value in own:
                self._problem(event, key.value, f"is given twice; first on line {own[key.value].line}")
            else:
                line = event.start_mark.line + 1
                own[key.value] = Node(child.value, line, child.values, child.children)
        children = merged | own
        values = 1 + sum(child.values for child in children.values())
        value = {key: child.value for key, child in children.items()}
        return Node(value, start.start_mark.line + 1, values, children)

    def _merge(self, event: Event, child: Node) -> dict[str | int, Node]:
        parts = list(child.children.values()) if isinstance(child.value, list) else [child]
        if not all(isinstance(part.value, dict) for part in parts):
            self._problem(event, "<<", "takes a mapping, or a list of mappings")
            return {}
        merged: dict[str | int, Node] = {}
        for part in parts:
            merged = part.children | merged
        return merged

    def _problem(self, event: Event, value: object, message: str) -> None:
        self.problems.append(Problem(self.file, event.start_mark.line + 1, "", str(value)[:80], message))

    def _stop(self, event: Event, message: str) -> NoReturn:
        raise _UnreadableError(Problem(self.file, event.start_mark.line + 1, "", "", message))
