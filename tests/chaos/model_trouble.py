"""Days of records that meet a model server in trouble, and what the same days come to with a good one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import polars as pl
from audit import Losses, audit, count_ids
from faulty_server import FaultyServer, Trouble
from parcels import MODEL, Document, Edit, Parcels, end_of, inference_of
from plain import run
from state import State, assert_same, state_of

from flows.infer import infer
from flows.rescore import rescore
from flywheel.errors import InferenceError
from flywheel.metadata.schema import EndpointHealth

ROWS_A_DAY = 40
FALLBACKS = ("passthrough", "return_null", "use_default", "use_last_known", "send_to_dlq", "error")
RESET_SECONDS = 0.5
_DEFAULT = {"label": "unknown", "score": 0.0}
_PATIENCE_SECONDS = 120.0


def in_trouble(fallback: str, **more: object) -> Edit:
    """A manifest of small batches and small requests, and a circuit that opens and closes soon."""

    def edit(document: Document) -> None:
        document["spec"]["batch"] = {"max_rows": 20}
        usual = {"timeout_ms": 1000, "batch_size": 5, "max_in_flight": 2, "max_retries": 1}
        breaker = {"failure_threshold": 3, "reset_timeout_seconds": RESET_SECONDS}
        default = {"default_prediction": _DEFAULT} if fallback == "use_default" else {}
        inference_of(document).update({**usual, "fallback": fallback, "circuit_breaker": breaker, **default, **more})

    return edit


@contextmanager
def troubled(server: FaultyServer, trouble: Trouble) -> Iterator[None]:
    """Let the server answer badly meanwhile."""
    server.trouble = trouble
    try:
        yield
    finally:
        server.trouble = None


@contextmanager
def gone(server: FaultyServer) -> Iterator[None]:
    """Let the server be away meanwhile; each connection that it refuses is counted by the caller."""
    server.stop()
    try:
        yield
    finally:
        server.start()


def circuit(parcels: Parcels) -> str:
    """The state of the circuit to the model server."""
    with parcels.context.database.session() as session:
        row = session.get(EndpointHealth, (parcels.address, MODEL))
    return row.state if row else "closed"


@dataclass
class Days:
    """A pipeline that gets a day of records after the other; ``seen`` are the ids of all of them."""

    parcels: Parcels
    count: int = 0

    def __post_init__(self) -> None:
        self.seen: list[str] = []

    def new(self) -> None:
        self.count += 1
        self.seen += self.parcels.day(self.count, ROWS_A_DAY)["id"].to_list()

    def infer(self) -> bool:
        """Run ``infer`` as the schedule does; return whether the model itself answered every record."""
        try:
            summary = run(infer, self.parcels, end_of(self.count))
        except InferenceError:
            return False
        return bool(summary.ok == summary.records)

    def infer_until_well(self) -> float:
        """Run it again and again, with new records if it can go on without an answer; return the seconds it took."""
        begin = time.monotonic()
        while True:
            entry = self.parcels.context.records.latest()
            if entry is None or entry.committed:
                self.new()
            if self.infer():
                return time.monotonic() - begin
            assert time.monotonic() < begin + _PATIENCE_SECONDS, "the loop did not recover by itself"
            time.sleep(0.05)


@dataclass(frozen=True)
class Outage:
    """What some outages did: the longest time until the model answered again, and the audit of all rows."""

    rows_in: int
    recovery_seconds: float
    losses: Losses


def live_through(
    made: Parcels,
    calm: Parcels,
    fallback: str,
    outages: int,
    trouble: Callable[[], AbstractContextManager[None]],
    *,
    opens: bool,
) -> Outage:
    """Live through outages, make up for them with ``rescore``, and compare with days that had none.

    Parameters
    ----------
    made, calm
        Two copies of the same workspace; ``trouble`` troubles the server of both.
    opens
        The circuit opens in each outage.
    """
    made.revise(in_trouble(fallback))
    calm.revise(in_trouble(fallback, timeout_ms=60_000))
    days, recovery = Days(made), 0.0
    for _ in range(outages):
        days.infer_until_well()
        with trouble():
            days.new()
            days.infer()
            assert (circuit(made) == "open") is opens
        recovery = max(recovery, days.infer_until_well())
        assert circuit(made) == "closed"
    served = state_of(made)
    check_fallback(served.tables, fallback)
    if fallback != "error":
        run(rescore, made, end_of(days.count))
    again = Days(calm)
    while again.count < days.count:
        again.new()
        assert again.infer()
    found, expected = state_of(made), state_of(calm)
    if fallback == "error":
        assert_same(found, expected)
    assert_untouched(found, served)
    ids = count_ids(made, days.seen)
    answers = audit(State({"answers": answers_of(found)}, {}, {}), State({"answers": answers_of(expected)}, {}, {}))
    losses = Losses(ids.rows, ids.lost + answers.lost, ids.twice + answers.twice)
    return Outage(len(days.seen), recovery, losses)


def answers_of(found: State) -> pl.DataFrame:
    """What the model itself said of each record, when it was asked first or later."""
    columns = ["prediction_id", "event_time", "model_id", "model_version", "batch_id", "prediction"]
    own = found.tables["predictions"].filter(pl.col("status") == "ok")
    return pl.concat([own.select(columns), found.tables["rescored"].select(columns)])


def check_fallback(tables: dict[str, pl.DataFrame], fallback: str) -> None:
    """Fail unless the rows without an answer are what the fallback's name says."""
    rows = tables["predictions"].filter(pl.col("status") != "ok")
    answers, own = rows["prediction"], tables["predictions"].filter(pl.col("status") == "ok")["prediction"]
    assert set(rows["status"]) <= {fallback}
    assert tables["archive"].height == tables["predictions"].height
    if fallback in ("passthrough", "return_null"):
        assert answers.null_count() == len(answers)
    if fallback == "use_default":
        assert answers.to_list() == [_DEFAULT] * len(answers)
    if fallback == "use_last_known":
        assert answers.null_count() == 0
        assert answers.is_in(own.implode()).all()
    if fallback in ("error", "send_to_dlq"):
        assert rows.is_empty()
    dead = tables["quarantine"]
    assert dead.is_empty() or (fallback == "send_to_dlq" and dead["features"].null_count() == 0)


def assert_untouched(found: State, served: State) -> None:
    """Fail if a rescore changed anything but its own table."""
    for name, rows in found.tables.items():
        assert name == "rescored" or rows.equals(served.tables[name]), name
