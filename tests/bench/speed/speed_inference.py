"""Line 4: the model server beside the model in process and MLServer; requests in flight; ONNX Runtime.

Seconds of wall time here: client and server are two processes, which each have a processor. One thread a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import speed_inference_servers as servers
from speed_line import Line, at_least, at_most
from speed_run import Contender, Cost, compare

from flywheel.inference.expected import ExpectedTensor
from flywheel.inference.requests import ChunkResult
from flywheel.serving.scorers import OnnxScorer, load_served

HERE = "speed_inference"


@dataclass(frozen=True, slots=True)
class Sizes:
    """``requests`` of ``rows`` each in a call, by the number of rows."""

    rows: tuple[int, ...]
    requests: tuple[int, ...]
    runs: int
    with_peer: bool


FULL = Sizes((64, 1_000, 10_000), (300, 60, 8), 15, True)
SLICE = Sizes((64, 1_000), (50, 20), 3, False)
# What may be lost to the way through the server.
IN_PROCESS = {1_000: 1.25, 10_000: 1.12}
FLIGHTS = 4


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Every figure of line 4."""
    place = folder / "inference"
    servers.make_registry(place)
    lines: list[Line] = []
    for rows, requests in zip(sizes.rows, sizes.requests, strict=True):
        lines += _at(rows, requests, place, sizes)
    return lines + _in_flight(sizes, place)


def _at(rows: int, requests: int, place: Path, sizes: Sizes) -> list[Line]:
    common = {"folder": str(place), "rows": rows, "requests": requests}
    contenders = [
        Contender("in process", f"{HERE}:in_process", common),
        Contender("server", f"{HERE}:through_ours", common | {"version": servers.AS_IT_IS}),
        Contender("ONNX", f"{HERE}:through_ours", common | {"version": servers.WITH_FORM}),
        Contender("ONNX in process", f"{HERE}:onnx_in_process", common),
    ]
    if sizes.with_peer:
        servers.MLSERVER.python()
        contenders.append(Contender("MLServer", f"{HERE}:through_mlserver", common))
    found = compare(contenders, sizes.runs, warm_ups=2)
    _check_equal(found)
    walls = {name: cost.wall for name, cost in found.items()}
    each = ", ".join(f"{name} {1000 * wall / requests:.2f} ms" for name, wall in walls.items())
    lines = []
    if rows in IN_PROCESS:
        by = walls["server"] / walls["in process"]
        what = f"{rows:,} rows through the server, scikit-learn, by in process"
        lines.append(at_most("4", what, by, "×", IN_PROCESS[rows], each))
    if sizes.with_peer:
        for name, what in (("ONNX", "ONNX Runtime"), ("server", "scikit-learn")):
            by = walls["MLServer"] / walls[name]
            lines.append(at_least("4", f"{rows:,} rows: rows/s by MLServer's, {what}", by, "×", 1.3, each))
    by = walls["ONNX"] / walls["in process"]
    what = f"{rows:,} rows through the server, ONNX Runtime, by scikit-learn in process"
    lines.append(at_most("4", what, by, "×", 1.0, each))
    return lines


def _in_flight(sizes: Sizes, place: Path) -> list[Line]:
    rows, requests = sizes.rows[1], sizes.requests[1]
    lines = []
    for version, what in ((servers.AS_IT_IS, "scikit-learn"), (servers.WITH_FORM, "ONNX Runtime")):
        common = {"folder": str(place), "rows": rows, "requests": requests, "version": version}
        contenders = [
            Contender(str(number), f"{HERE}:through_ours", common | {"in_flight": number}) for number in (1, FLIGHTS)
        ]
        found = compare(contenders, sizes.runs, warm_ups=2)
        speeds = {name: rows * requests / cost.wall for name, cost in found.items()}
        told = ", ".join(f"{name} in flight {speed:,.0f} rows/s" for name, speed in speeds.items())
        by = speeds[str(FLIGHTS)] / speeds["1"]
        lines.append(at_least("4", f"{FLIGHTS} batches in flight by one, {what}", by, "×", 1.4, told))
    return lines


def _check_equal(found: dict[str, Cost]) -> None:
    sums = {name: cost.returned for name, cost in found.items()}
    first = sums["in process"]
    assert isinstance(first, float)
    for name, total in sums.items():
        assert isinstance(total, float)
        assert abs(total - first) < 1e-6, f"{name} answers otherwise: {sums}"


def in_process(folder: str, rows: int, requests: int) -> Callable[[], object]:
    """The estimator, in the process that has the rows; one thread."""
    matrix = servers.matrix_of(rows)
    model = servers.open_registry(Path(folder)).load(servers.MODEL, servers.AS_IT_IS).model
    return lambda: _mean([model.predict_proba(matrix)[:, 1].mean() for _ in range(requests)])


def onnx_in_process(folder: str, rows: int, requests: int) -> Callable[[], object]:
    """What the server asks, in the process that has the rows."""
    matrix = servers.matrix_of(rows)
    scorer = load_served(servers.open_registry(Path(folder)), servers.MODEL, servers.WITH_FORM).scorer
    assert isinstance(scorer, OnnxScorer)
    return lambda: _mean([scorer.score(matrix)["probabilities"][:, 1].mean() for _ in range(requests)])


def through_ours(folder: str, rows: int, requests: int, version: int, in_flight: int = 1) -> Callable[[], object]:
    """The pipeline's own client and model server."""
    address = servers.ours(Path(folder))
    return _asking(address, rows, requests, str(version), "probabilities", in_flight)


def through_mlserver(folder: str, rows: int, requests: int) -> Callable[[], object]:
    """The pipeline's own client and MLServer."""
    address = servers.mlserver(Path(folder) / "mlserver")
    return _asking(address, rows, requests, "", "predict_proba", 1)


def _asking(address: str, rows: int, requests: int, version: str, output: str, in_flight: int) -> Callable[[], object]:
    client = servers.connect(address, rows, in_flight)
    matrix = np.tile(servers.matrix_of(rows), (requests, 1))
    expected = [ExpectedTensor(output, 2)]

    def call() -> object:
        results = client.infer(servers.MODEL, version, matrix, expected)
        return _mean([float(_answer(result, output)[:, 1].mean()) for result in results])

    return call


def _answer(result: ChunkResult, output: str) -> np.ndarray:
    assert result.outputs is not None, result.error
    return result.outputs[output]


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
