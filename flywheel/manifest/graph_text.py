"""A graph as text: Mermaid for documents, a tree for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from flywheel.manifest.graph import Graph, GraphEdge, GraphNode, Kind

WORDS: dict[Kind, str] = {
    "source": "source",
    "features": "feature-extraction",
    "inference": "ml-inference",
    "model": "model",
    "log": "",
    "sink": "sink",
    "feedback": "feedback",
    "labels": "feedback-join",
    "drift": "drift-detection",
    "export": "",
    "retrain": "",
    "promote": "",
}
_SHAPES: dict[Kind, tuple[str, str]] = {
    "source": ("[(", ")]"),
    "feedback": ("[(", ")]"),
    "log": ("[(", ")]"),
    "labels": ("[(", ")]"),
    "sink": ("([", "])"),
    "model": ("{{", "}}"),
}


def to_mermaid(graph: Graph) -> str:
    """Return a Mermaid flowchart (https://mermaid.js.org); dotted arrows close the loop."""
    ids = {node.id: f"n{position}" for position, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        left, right = _SHAPES.get(node.kind, ("[", "]"))
        text = "<br/>".join(_escaped(part) for part in (node.name, node.detail) if part)
        lines.append(f'  {ids[node.id]}{left}"{text}"{right}')
    for edge in graph.edges:
        arrow = "-.->" if edge.closes_loop else "-->"
        label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
        lines.append(f"  {ids[edge.start]} {arrow}{label} {ids[edge.end]}")
    return "\n".join(lines) + "\n"


def to_text(graph: Graph) -> str:
    """Return a tree of what follows what; a node that stands above already is marked with an arrow up."""
    seen: set[str] = set()
    lines = [graph.name]
    fed = {edge.end for edge in graph.edges}
    for node in graph.nodes:
        if node.id not in fed:
            lines += ["", _described(node), *_branches(graph, node, "", seen)]
    return "\n".join(lines) + "\n"


def _branches(graph: Graph, node: GraphNode, indent: str, seen: set[str]) -> Iterator[str]:
    edges = graph.leaving(node)
    for edge in edges:
        last = edge is edges[-1]
        child = graph.node(edge.end)
        known = child.id in seen
        seen.add(child.id)
        yield f"{indent}{'└─ ' if last else '├─ '}{_arrival(edge)}{f'{child.name} ↑' if known else _described(child)}"
        if not known:
            yield from _branches(graph, child, indent + ("   " if last else "│  "), seen)


def _arrival(edge: GraphEdge) -> str:
    return f"{edge.label} → " if edge.closes_loop else ""


def _described(node: GraphNode) -> str:
    about = " · ".join(part for part in (WORDS[node.kind], node.detail) if part)
    return f"{node.name}  ({about})" if about else node.name


def _escaped(text: str) -> str:
    for character, code in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, code)
    return text
