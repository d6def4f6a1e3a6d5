"""Kafka that restarts, cuts and falls silent; that delivers twice and out of order; that gets another partition, asks
for a password, or shows a certificate."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from audit import audit
from certificates import Authority
from kafka_parcels import PARTITIONS, Broker, KafkaParcels, Sent, Tansu, free_port, running
from outcome import Outcome
from parcels import Parcels, end_of, feedback_on, known_after, made_parcels
from plain import run
from processes import KEY, REGION, S3, SECRET
from proxy import Faults, proxy
from state import State, tables_of
from stores import INFER, JOIN, Day, Record, Runs, Trouble, a_day, beside, note, once, until_done
from tls_front import tls_front

from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.manifest.documents import KafkaSecurity
from flywheel.serving.server import ModelServer
from flywheel.sources.base import SourceDownError, SourceError

TOPICS = ("parcels", "deliveries")
PASSWORD = "planted-password"


def lasting(s3: S3, folder: Path) -> Tansu:
    """A broker that keeps its topics in a bucket, so that it has them when it comes again."""
    obstore.put(s3.bucket("kafka"), "ready", b"yes")
    environment = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT": s3.endpoint,
        "AWS_ALLOW_HTTP": "true",
    }
    # One bucket for all, since each takes a third of the server's volumes.
    return Tansu(folder / "tansu.log", "s3://kafka/", environment, options=("--cluster-id", folder.name))


def on_topics(pipeline: Parcels, broker: Broker, folder: Path) -> KafkaParcels:
    """A copy of the pipeline that reads from topics of the broker, which are empty."""
    for name in TOPICS:
        broker.make(name, PARTITIONS)
    return KafkaParcels(pipeline.copy(folder / "kafka").root, pipeline.address, broker=broker, timeout_seconds=5)


def restart_under_load(
    embedded: Parcels, s3: S3, folder: Path, record: Record, flows: Runs, *, rows: int, batch_rows: int, times: int
) -> None:
    """Kill -9 the broker again and again while its messages are read, and start it again a moment later."""
    tansu = lasting(s3, folder)
    moments = random.Random(3)
    restarts = 0

    def attack(trouble: Trouble) -> None:
        nonlocal restarts
        while restarts < times and trouble.goes_on(moments.uniform(0.1, 0.8)):
            tansu.kill()
            time.sleep(moments.uniform(0, 0.4))
            tansu.start()
            restarts += 1
            trouble.calm()

    with running(tansu) as broker, a_day(on_topics(embedded, broker, folder), folder, rows, batch_rows, flows) as day:
        copy = day.before.copy(folder / "w")
        with beside(attack) as trouble:
            until_done(copy, day.flows, SourceDownError)
            seconds = trouble.recovery()
        note(record, day, copy, "Kafka restarts", restarts, seconds)


def test_a_broker_that_restarts(embedded: Parcels, s3: S3, tmp_path: Path, record: Record) -> None:
    restart_under_load(embedded, s3, tmp_path, record, (INFER,), rows=150, batch_rows=50, times=2)


@pytest.mark.chaos
def test_a_broker_that_restarts_for_long(embedded: Parcels, s3: S3, tmp_path: Path, record: Record) -> None:
    restart_under_load(embedded, s3, tmp_path, record, (INFER, JOIN), rows=1_500, batch_rows=30, times=40)


def break_the_line(
    embedded: Parcels, folder: Path, record: Record, flows: Runs, *, rows: int, batch_rows: int, times: int
) -> None:
    """Connections are refused, cut, and silent for longer than the source waits."""
    moments = random.Random(4)
    port = free_port()

    def attack(trouble: Trouble, faults: Faults) -> None:
        for turn in range(times):
            if not trouble.goes_on(moments.uniform(0.1, 0.6)):
                break
            faults.refuse = faults.cut = turn % 2 == 0
            faults.silent = turn % 2 == 1
            trouble.goes_on(moments.uniform(0.1, 0.5) if turn % 2 == 0 else 1.5)
            faults.refuse = faults.cut = faults.silent = False
            trouble.calm()

    with (
        proxy(port) as (front, faults),
        running(Tansu(folder / "tansu.log", port=port, front=front)) as broker,
        a_day(on_topics(embedded, broker, folder), folder, rows, batch_rows, flows) as day,
    ):
        copy = replace(day.before.copy(folder / "w"), timeout_seconds=1)
        with beside(lambda trouble: attack(trouble, faults)) as trouble:
            until_done(copy, day.flows, SourceDownError)
            seconds = trouble.recovery()
        note(record, day, copy, "Kafka refuses, cuts, is silent", sum(faults.happened.values()), seconds)


def test_a_bad_line(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    break_the_line(embedded, tmp_path, record, (INFER,), rows=60, batch_rows=30, times=2)


@pytest.mark.chaos
def test_a_bad_line_for_long(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    break_the_line(embedded, tmp_path, record, (INFER, JOIN), rows=1_500, batch_rows=30, times=40)


def deliver_twice_and_out_of_order(
    embedded: Parcels, folder: Path, record: Record, *, rows: int, batch_rows: int, deliveries: int
) -> None:
    """Messages come up to three times, on any partition, in any order, feedback before its record among them."""
    chance = random.Random(9)
    parcels = made_parcels(1, end_of(0), rows)
    once_each = (parcels.drop("minutes_late"), feedback_on(parcels))
    repeated = {name: _repeated(each, chance) for name, each in zip(TOPICS, once_each, strict=True)}
    surplus = {name: len(lines) - rows for name, lines in repeated.items()}
    with calm_and_wild(embedded, folder, batch_rows) as (calm, wild):
        calm.day(1, rows)
        run(infer, calm, end_of(1))
        run(join_feedback, calm, known_after(1))
        for turn in range(deliveries):
            for name, lines in repeated.items():
                sent = [Sent(line, chance.randrange(PARTITIONS)) for line in lines[turn::deliveries]]
                wild.broker.send(name, sent)
            # The feedback first: some of it is about records that have yet to come.
            run(join_feedback, wild, known_after(1))
            run(infer, wild, end_of(1))
        run(join_feedback, wild, known_after(1))
        losses = audit(_wherever(wild), _wherever(calm))
        quarantined = wild.table("quarantine")
    injected = sum(surplus.values())
    record(Outcome("Kafka delivers twice, out of order", "Kafka", injected, 2 * rows, losses.lost, losses.twice, 0.0))
    assert injected > 0
    assert quarantined.height == surplus["parcels"]
    assert quarantined["reason"].str.contains("duplicate id|came earlier").all()
    assert (losses.lost, losses.twice) == (0, 0)


@contextmanager
def calm_and_wild(embedded: Parcels, folder: Path, batch_rows: int) -> Iterator[tuple[Parcels, KafkaParcels]]:
    """The pipeline on files, and on topics."""
    with (
        ModelServer(embedded.context.registry, "127.0.0.1:0", poll_seconds=60) as server,
        running(Tansu(folder / "tansu.log")) as broker,
    ):
        calm = embedded.copy(folder / "calm", server.address)
        calm.revise(lambda document: document["spec"]["batch"].update(max_rows=batch_rows))
        yield calm, on_topics(calm, broker, folder)


def _repeated(rows: pl.DataFrame, chance: random.Random) -> list[bytes]:
    lines = rows.write_ndjson().encode().splitlines()
    found = [line for line in lines for _ in range(chance.choice([1, 1, 2, 3]))]
    chance.shuffle(found)
    return found


def _wherever(parcels: Parcels) -> State:
    """Predictions, labels and the sink's rows, whichever batch they were in."""
    tables = tables_of(parcels)
    kept = {name: tables[name].drop("batch_id", strict=False) for name in ("predictions", "labels", "archive")}
    return State(kept, {}, {})


def test_duplicates_out_of_order(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    deliver_twice_and_out_of_order(embedded, tmp_path, record, rows=100, batch_rows=70, deliveries=2)


@pytest.mark.chaos
def test_duplicates_out_of_order_for_long(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    deliver_twice_and_out_of_order(embedded, tmp_path, record, rows=6_000, batch_rows=150, deliveries=20)


def test_a_partition_is_added(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    """Its messages are read from their beginning, those of the others go on where they were."""
    lines = made_parcels(1, end_of(0), 120).drop("minutes_late").write_ndjson().encode().splitlines()
    old = [Sent(line, i % PARTITIONS) for i, line in enumerate(lines[:60])]
    new = [Sent(line, i % (PARTITIONS + 1)) for i, line in enumerate(lines[60:])]
    with calm_and_wild(embedded, tmp_path, 200) as (calm, wild):
        calm.day(1, 120)
        run(infer, calm, end_of(1))
        wild.broker.send("parcels", old)
        run(infer, wild, end_of(1))
        # tansu can't add a partition: the same topic made anew with one more looks no different.
        wild.broker.drop("parcels")
        wild.broker.make("parcels", PARTITIONS + 1)
        wild.broker.send("parcels", [*old, *new])
        started = time.monotonic()
        run(infer, wild, end_of(1))
        seconds = time.monotonic() - started
        losses = audit(_wherever(wild), _wherever(calm))
        assert wild.table("quarantine").is_empty()
    record(Outcome("Kafka gets another partition", "Kafka", 1, 120, losses.lost, losses.twice, seconds))
    assert (losses.lost, losses.twice) == (0, 0)


@contextmanager
def refused(embedded: Parcels, folder: Path, tansu: Tansu) -> Iterator[tuple[Day[KafkaParcels], KafkaParcels]]:
    """A day of messages on a broker, and a copy of the pipeline that has yet to read them."""
    with running(tansu) as broker, a_day(on_topics(embedded, broker, folder), folder, 60, flows=(INFER,)) as day:
        yield day, replace(day.before.copy(folder / "w"), timeout_seconds=20)


def refusal_is_told(parcels: KafkaParcels, flow: Any, told: str) -> None:
    """At once, as something that a person must mend, and without the password."""
    started = time.monotonic()
    error = once(parcels, *flow)
    assert time.monotonic() - started < 10
    assert isinstance(error, SourceError), repr(error)
    assert not isinstance(error, SourceDownError)
    assert told in error.what
    assert "security" in error.next_step
    assert PASSWORD not in str(error) + repr(error)


def test_a_wrong_password(embedded: Parcels, s3: S3, tmp_path: Path, record: Record) -> None:
    """The broker begins to ask for passwords, which it has not been given; later it does not any more."""
    tansu = lasting(s3, tmp_path)
    wrong = KafkaSecurity(
        protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512", sasl_username="flywheel", sasl_password=PASSWORD
    )
    with refused(embedded, tmp_path, tansu) as (day, copy):
        tansu.kill()
        open_to_all, tansu.options = tansu.options, (*tansu.options, "--authentication")
        tansu.start()
        for flow in day.flows:
            refusal_is_told(replace(copy, security=wrong), flow, "SCRAM authentication failed")
        tansu.kill()
        tansu.options = open_to_all
        tansu.start()
        started = time.monotonic()
        until_done(copy, day.flows, SourceDownError)
        note(record, day, copy, "Kafka refuses a password", len(day.flows), time.monotonic() - started)


def test_a_certificate_that_is_not_trusted(embedded: Parcels, s3: S3, tmp_path: Path, record: Record) -> None:
    """The broker begins to speak TLS: whoever trusts another authority reads nothing, whoever trusts its own all."""
    good, other = Authority(tmp_path, "good"), Authority(tmp_path, "other")
    certificate = good.sign("broker")
    tansu = lasting(s3, tmp_path)
    with refused(embedded, tmp_path, tansu) as (day, copy):
        tansu.kill()
        tansu.front = free_port()
        broker = tansu.start()
        with tls_front(tansu.front, tansu.port, certificate.file, certificate.key_file):
            trusting = {
                authority: replace(
                    copy, broker=broker, security=KafkaSecurity(protocol="SSL", ssl_ca_location=str(authority.file))
                )
                for authority in (other, good)
            }
            for flow in day.flows:
                refusal_is_told(trusting[other], flow, "certificate verify failed")
            started = time.monotonic()
            until_done(trusting[good], day.flows, SourceDownError)
            seconds = time.monotonic() - started
            note(record, day, trusting[good], "Kafka's certificate is not trusted", len(day.flows), seconds)
