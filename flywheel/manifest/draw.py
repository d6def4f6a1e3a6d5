"""A graph as a picture: the flow along the top, the loop that closes below it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.errors import FlywheelError
from flywheel.manifest.graph import Graph, GraphEdge, GraphNode, Kind
from flywheel.manifest.graph_text import WORDS, to_mermaid, to_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 2.2, 0.92
STEP_X, STEP_Y = 2.9, 1.75
INK, QUIET = "#1f2933", "#5b6770"
_COLOURS: dict[Kind, str] = {
    "source": "#dceefb",
    "feedback": "#dceefb",
    "features": "#e8f5e2",
    "inference": "#e8f5e2",
    "model": "#fdebc8",
    "log": "#eceff2",
    "labels": "#eceff2",
    "sink": "#dceefb",
    "drift": "#fde2df",
    "export": "#ece5f8",
    "retrain": "#ece5f8",
    "promote": "#ece5f8",
}


def draw(graph: Graph, path: Path) -> None:
    """Write the graph to ``path`` as .svg, .png, .mmd (Mermaid) or .txt; the same graph gives the same file.

    Raises
    ------
    FlywheelError
        Another ending.
    """
    if path.suffix not in (".svg", ".png", ".mmd", ".txt"):
        raise FlywheelError(f"can't draw to {path.name!r}", next_step="end its name in .svg, .png, .mmd or .txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".mmd", ".txt"):
        path.write_text(to_mermaid(graph) if path.suffix == ".mmd" else to_text(graph), encoding="utf-8")
    else:
        _picture(graph, path)


@dataclass(frozen=True)
class _Spot:
    """The centre of a node's box."""

    x: float
    y: float


def _picture(graph: Graph, path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    spots = _layout(graph)
    right = max(spot.x for spot in spots.values())
    top, bottom = max(spot.y for spot in spots.values()), min(spot.y for spot in spots.values())
    width, height = right + WIDTH + 0.6, top - bottom + HEIGHT + 1.2
    with mpl.rc_context({"svg.hashsalt": "flywheel", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(width, height), dpi=130)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(-WIDTH / 2 - 0.3, right + WIDTH / 2 + 0.3)
        axes.set_ylim(bottom - HEIGHT / 2 - 0.3, top + HEIGHT / 2 + 0.9)
        axes.axis("off")
        axes.text(-WIDTH / 2, top + HEIGHT / 2 + 0.45, graph.name, fontsize=15, weight="bold", color=INK)
        for edge in graph.edges:
            _arrow(axes, edge, spots[edge.start], spots[edge.end])
        for node in graph.nodes:
            _box(axes, node, spots[node.id])
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, metadata=metadata)


def _layout(graph: Graph) -> dict[str, _Spot]:
    """The flow on row 0 from left to right, sinks stacked upwards; the loop on rows 1 and 2, ending below the model."""
    flow = [node for node in graph.nodes if node.kind in ("source", "features", "inference", "log")]
    cells = {node.id: (float(column), 0.0) for column, node in enumerate(flow)}
    ask = float(next(column for column, node in enumerate(flow) if node.kind == "inference"))
    sinks = [node for node in graph.nodes if node.kind == "sink"]
    for position, node in enumerate(sinks):
        cells[node.id] = (ask + 3, 0.72 * (len(sinks) - 1 - position))
    below: dict[Kind, tuple[float, float]] = {
        "model": (ask, -1),
        "drift": (ask + 1, -1),
        "labels": (ask + 2, -1),
        "feedback": (ask + 3, -1),
        "promote": (ask, -2),
        "retrain": (ask + 1, -2),
        "export": (ask + 2, -2),
    }
    for node in graph.nodes:
        if node.kind in below and node.id not in cells:
            cells[node.id] = below[node.kind]
    return {node_id: _Spot(x * STEP_X, y * STEP_Y) for node_id, (x, y) in cells.items()}


def _box(axes: Axes, node: GraphNode, spot: _Spot) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (spot.x - WIDTH / 2, spot.y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.12"
    colour = _COLOURS[node.kind]
    axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, style, facecolor=colour, edgecolor=INK, linewidth=1, zorder=2))
    detail = textwrap.wrap(node.detail, 30, max_lines=3, placeholder=" …")
    above = spot.y + 0.075 * len(detail)
    centred: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 3}
    axes.text(
        spot.x, above, _cut(node.name, 36), fontsize=min(10.5, max(7, 240 / len(node.name))), color=INK, **centred
    )
    axes.text(spot.x, above - 0.12 - 0.065 * len(detail), "\n".join(detail), fontsize=7.5, color=QUIET, **centred)
    if WORDS[node.kind] and WORDS[node.kind] != node.name:
        axes.text(corner[0] + 0.05, spot.y + HEIGHT / 2 + 0.05, WORDS[node.kind], fontsize=7, color=QUIET, va="bottom")


def _arrow(axes: Axes, edge: GraphEdge, start: _Spot, end: _Spot) -> None:
    from matplotlib.patches import FancyArrowPatch

    begin, finish, style, label = _route(start, end)
    axes.add_patch(
        FancyArrowPatch(
            begin,
            finish,
            connectionstyle=style,
            arrowstyle="-|>",
            mutation_scale=13,
            shrinkA=0,
            shrinkB=0,
            linewidth=1.3,
            linestyle="--" if edge.closes_loop else "-",
            color="#b4500f" if edge.closes_loop else QUIET,
            zorder=1,
        )
    )
    if edge.label:
        patch = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
        axes.text(*label, edge.label, fontsize=7.5, color=QUIET, ha="center", va="center", bbox=patch, zorder=4)


def _route(start: _Spot, end: _Spot) -> tuple[tuple[float, float], tuple[float, float], str, tuple[float, float]]:
    """From side to side on a row, from top to bottom in a column, else sideways and then up or down."""
    if start.y == end.y:
        side = WIDTH / 2 if end.x > start.x else -WIDTH / 2
        begin, finish = (start.x + side, start.y), (end.x - side, end.y)
    elif start.x == end.x:
        side = HEIGHT / 2 if end.y > start.y else -HEIGHT / 2
        begin, finish = (start.x, start.y + side), (end.x, end.y - side)
    elif end.y > start.y and end.x < start.x:
        begin, finish = (start.x - WIDTH / 4, start.y + HEIGHT / 2), (end.x + WIDTH / 4, end.y - HEIGHT / 2)
    elif end.y > start.y:
        begin, finish = (start.x + WIDTH / 2, start.y + HEIGHT / 4), (end.x - WIDTH / 2, end.y)
    else:
        begin, finish = (start.x + WIDTH / 2, start.y - HEIGHT / 4), (end.x, end.y + HEIGHT / 2)
        return begin, finish, "angle,angleA=0,angleB=90,rad=10", (finish[0], (begin[1] + finish[1]) / 2)
    lift = 0.12 if begin[1] == finish[1] else 0.0
    return begin, finish, "arc3,rad=0", ((begin[0] + finish[0]) / 2, (begin[1] + finish[1]) / 2 + lift)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
