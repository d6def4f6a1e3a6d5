"""Records that can't be used are quarantined with the reason, counted, and keep no other record from its prediction."""

from __future__ import annotations

import json
from typing import Any

from parcels import NAME, START, Parcels, end_of, known_after

from flows.infer import infer
from flows.join_feedback import join_feedback

GOOD = {"id": "ok", "timestamp": "2024-03-01T12:00:00Z", "route": {"km": 100.0, "region": "north"}, "kilos": 1.5}


def record(identity: str | None, **changes: Any) -> str:
    """A line of NDJSON: a good record with changes; a None takes a field away."""
    changed = {**GOOD, "id": identity, **changes}
    return json.dumps({name: value for name, value in changed.items() if value is not None})


BAD = {
    record("text", route={"km": "far away", "region": "north"}): "km = 'far away' is not a number",
    record("missing", route={"region": "north"}): "km",
    record("null", route={"km": None, "region": "north"}): "km",
    record("nan", route={"km": float("nan"), "region": "north"}): "km",
    record("negative", route={"km": -1.0, "region": "north"}): "km",
    record("unknown", route={"km": 1.0, "region": "west"}): "west",
    record("no-route", route=None): "km",
    record(None): "id",
    record("no-time", timestamp=None): "timestamp",
    record("bad-time", timestamp="yesterday"): "yesterday",
    record("ok"): "came earlier in this batch",
    "{not JSON": "not valid JSON",
    "[1, 2]": "",
    '"text"': "",
}


def test_bad_records_among_good_ones(parcels: Parcels) -> None:
    parcels.day(1, 100)
    parcels.broken_records("01.ndjson", record("ok"), *BAD, record("light", kilos=None), record("last"))
    summary = infer(NAME, as_of=end_of(1))
    assert (summary.records, summary.ok, summary.quarantined) == (103 + len(BAD), 103, len(BAD))
    assert {"ok", "light", "last"} <= set(parcels.table("predictions")["prediction_id"])
    quarantine = parcels.table("quarantine")
    reasons = dict(quarantine.select("record", "reason").rows())
    assert set(quarantine["feed"]) == {"records"}
    for line, expected in BAD.items():
        found = [reason for text, reason in reasons.items() if same_json(text, line)]
        assert len(found) == 1, line
        assert expected in found[0], line
    entry = parcels.context.records.latest()
    assert entry is not None
    expected = {"records": 103 + len(BAD), "ok": 103, "fallback": 0, "quarantined": len(BAD), "dead_letters": 0}
    assert entry.counts == expected
    assert parcels.archive().height == 103


def same_json(left: str, right: str) -> bool:
    try:
        return json.dumps(json.loads(left)) == json.dumps(json.loads(right))
    except ValueError:
        return left == right


def test_files_that_cannot_be_read(parcels: Parcels) -> None:
    folder = parcels.root / "data" / "parcels"
    (folder / "00-empty.ndjson").write_bytes(b"")
    (folder / "00-truncated.ndjson").write_text(f"{record('whole')}\n{record('cut')[:40]}\n")
    (folder / "00-binary.ndjson").write_bytes(b"\xff\xfe\x00\x01" * 50 + b"\n")
    parcels.day(1, 50)
    summary = infer(NAME, as_of=end_of(1))
    assert (summary.records, summary.ok, summary.quarantined) == (53, 51, 2)
    assert set(parcels.table("quarantine")["part"]) == {"00-truncated.ndjson", "00-binary.ndjson"}
    assert infer(NAME, as_of=end_of(1)).batches == 0


def test_only_bad_records(parcels: Parcels) -> None:
    """A batch without a prediction is a batch all the same: committed, delivered, not read again."""
    parcels.records("01.ndjson", parcels.day(1, 1).clear())
    parcels.broken_records("01.ndjson", *BAD)
    # The first record with the id is not a duplicate.
    summary = infer(NAME, as_of=end_of(1))
    assert (summary.batches, summary.ok, summary.quarantined) == (1, 1, len(BAD) - 1)
    parcels.broken_records("02.ndjson", "{", "}")
    summary = infer(NAME, as_of=end_of(1))
    assert (summary.batches, summary.records, summary.quarantined) == (1, 2, 2)
    assert infer(NAME, as_of=end_of(1)).batches == 0
    assert parcels.table("quarantine").height == len(BAD) + 1


def test_records_and_events_of_the_year_9999(parcels: Parcels) -> None:
    """They hold up nothing, and are not the newest rows of a hold-out: what follows them proves their time wrong."""
    parcels.day(1, 100)
    parcels.broken_records("01.ndjson", record("far", timestamp="9999-12-31T23:59:59Z"), record("last"))
    events = parcels.root / "data" / "deliveries" / "01.ndjson"
    with events.open("a") as lines:
        lines.write(json.dumps({"id": "ok", "event": "delivered", "timestamp": "9999-01-01T00:00:00Z"}) + "\n")
        lines.write(json.dumps({"id": "last", "event": "delivered", "timestamp": "2024-03-01T13:00:00Z"}) + "\n")
    assert infer(NAME, as_of=end_of(1)).quarantined == 1
    assert join_feedback(NAME, as_of=known_after(1)).labelled == 101
    reasons = dict(parcels.table("quarantine").select("feed", "reason").rows())
    assert reasons["records"].startswith("event_time ($.timestamp) = '9999-12-31T23:59:59Z' is more than 1 day")
    assert reasons["feedback"].startswith("its time 9999-01-01T00:00:00Z is more than 1 day (batch.max_ahead) after")
    assert parcels.table("predictions")["event_time"].max() < end_of(1)


def test_an_id_that_an_earlier_batch_has_logged(parcels: Parcels) -> None:
    made = parcels.day(1, 100)
    infer(NAME, as_of=end_of(1))
    parcels.records("01-again.ndjson", made)
    summary = infer(NAME, as_of=end_of(1))
    assert (summary.ok, summary.quarantined) == (0, 100)
    assert parcels.table("quarantine")["reason"].unique().to_list() == [
        "duplicate id: an earlier batch has logged it already"
    ]
    assert parcels.table("predictions").height == 100


def test_records_of_another_time(parcels: Parcels) -> None:
    """A record that comes late is scored, in its own day's partition."""
    parcels.day(3, 20)
    infer(NAME, as_of=end_of(3))
    parcels.day(1, 20)
    assert infer(NAME, as_of=end_of(3)).ok == 20
    rows = parcels.table("predictions")
    assert dict(rows["date"].value_counts().rows()) == {START.date(): 20, end_of(2).date(): 20}
