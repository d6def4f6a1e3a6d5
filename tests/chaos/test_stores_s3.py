"""S3 that refuses, is overloaded, falls silent, gets half an object, loses its answers, or no longer takes the keys."""

from __future__ import annotations

import io
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import obstore
import polars as pl
import pytest
from hosted import Hosted
from outcome import Outcome
from parcels import end_of
from processes import KEY, REGION, S3, SECRET
from proxy import Faults, proxy
from pydantic import SecretStr
from stores import Day, Record, Trouble, a_day, a_little, attempt, beside, note, until_done
from undisturbed import Undisturbed

from flywheel.errors import FlywheelError, StorageDownError, StorageError
from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import FilesSourceSpec, StorageSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.sources.base import Slice, Source, SourceDownError
from flywheel.sources.open import open_source

Attack = Callable[[Trouble, Faults], None]


@pytest.fixture(scope="module")
def long_day(hosted: Hosted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day[Hosted]]:
    with a_day(hosted, tmp_path_factory.mktemp("s3-day"), 3_000, 100) as day:
        yield day


@contextmanager
def bad_network(day: Day[Hosted], folder: Path, timeout: float = 30) -> Iterator[tuple[Hosted, Faults]]:
    """A copy of the pipeline that reaches its S3 through a proxy."""
    copy = day.before.copy(folder / "w")
    port = urlsplit(copy.s3.endpoint).port
    assert port is not None
    with proxy(port) as (front, faults):
        yield replace(copy, s3=S3(f"http://127.0.0.1:{front}"), timeout_seconds=timeout), faults


def survive(day: Day[Hosted], folder: Path, record: Record, fault: str, attack: Attack, timeout: float = 30) -> Faults:
    """Let the loop come to its end beside an attack."""
    with bad_network(day, folder, timeout) as (behind, faults):
        with beside(lambda trouble: attack(trouble, faults)) as trouble:
            until_done(behind, day.flows, StorageDownError)
            seconds = trouble.recovery()
        direct = replace(behind, s3=day.before.s3)
        note(record, day, direct, fault, sum(faults.happened.values()), seconds)
    return faults


def refusals(bursts: int, seconds: float) -> Attack:
    """Connections are refused and cut, and slow in between."""

    def attack(trouble: Trouble, faults: Faults) -> None:
        for _ in range(bursts):
            faults.refuse = faults.cut = True
            trouble.goes_on(seconds)
            faults.refuse = faults.cut = False
            trouble.calm()
            faults.delay = 0.02
            if not trouble.goes_on(0.3):
                break
        faults.delay = 0.0

    return attack


def denials(bursts: int, requests: int, pause: float) -> Attack:
    """So many requests in a row are answered that it is too busy."""

    def attack(trouble: Trouble, faults: Faults) -> None:
        for _ in range(bursts):
            faults.denials = requests
            while faults.denials > 0 and trouble.goes_on(0.01):
                pass
            faults.denials = 0
            trouble.calm()
            if not trouble.goes_on(pause):
                break

    return attack


def silences(times: int, seconds: float, pause: float) -> Attack:
    """Connections stay open and say nothing; what was sent meanwhile arrives afterwards."""
    moments = random.Random(5)

    def attack(trouble: Trouble, faults: Faults) -> None:
        for _ in range(times):
            if not trouble.goes_on(moments.uniform(0, pause)):
                break
            faults.silent = True
            trouble.goes_on(seconds)
            faults.silent = False
            trouble.calm()

    return attack


def losses(trouble: Trouble, faults: Faults) -> None:
    """The answer to each write is lost, the first time that it is asked for."""
    faults.lose = ("PUT", "POST")
    while trouble.goes_on(0.1):
        trouble.calm()


def halves(trouble: Trouble, faults: Faults) -> None:
    """The server gets half of each object, the first time that it is sent."""
    faults.tear = ("PUT",)
    while trouble.goes_on(0.1):
        trouble.calm()


def test_refused_connections(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    survive(a_little(undisturbed), tmp_path, record, "S3 refuses and cuts connections", refusals(2, 0.3))


@pytest.mark.chaos
def test_refused_connections_for_long(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    survive(long_day, tmp_path, record, "S3 refuses and cuts connections", refusals(40, 0.5))


def test_bursts_of_503(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    survive(a_little(undisturbed), tmp_path, record, "S3 answers 503 SlowDown, in bursts", denials(3, 4, 0.1))


@pytest.mark.chaos
def test_bursts_of_503_for_long(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    survive(long_day, tmp_path, record, "S3 answers 503 SlowDown, in bursts", denials(30, 7, 0.3))


@pytest.mark.chaos
def test_more_503_than_a_request_is_patient(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    """It gives up after ten attempts; the next run goes on."""
    survive(a_little(undisturbed), tmp_path, record, "S3 answers 503 SlowDown, for long", denials(2, 25, 1.0))


def test_silence(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    """Twice as long as a request may take."""
    survive(a_little(undisturbed), tmp_path, record, "S3 is silent", silences(1, 1.5, 0.2), timeout=0.7)


@pytest.mark.chaos
def test_silences_of_half_a_minute(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    survive(long_day, tmp_path, record, "S3 is silent for 30 s", silences(3, 30.0, 3.0), timeout=10)


@pytest.mark.chaos
def test_silence_just_as_long_as_a_request_may_take(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    survive(long_day, tmp_path, record, "S3 is silent for 30 s, the default limit", silences(2, 30.5, 3.0))


@pytest.mark.chaos
def test_many_short_silences(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    """At all kinds of moments: in the middle of objects, of listings, of commits."""
    survive(long_day, tmp_path, record, "S3 is silent, often", silences(25, 1.3, 0.5), timeout=1)


def test_every_write_happens_and_its_answer_is_lost(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    """The ambiguous commit: the client asks again, and must find its own write instead of making a second one."""
    fault = "S3 loses the answer to every write"
    faults = survive(a_little(undisturbed), tmp_path, record, fault, losses)
    commits = [line for line in faults.lost if "/_delta_log/" in line]
    tables = ("predictions", "profiles", "quarantine", "archive")
    assert all(any(f"/{table}/" in line for line in commits) for table in tables)


@pytest.mark.chaos
def test_every_answer_is_lost_for_long(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    survive(long_day, tmp_path, record, "S3 loses the answer to every write", losses)


def test_half_written_objects(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    faults = survive(a_little(undisturbed), tmp_path, record, "S3 gets half of every object", halves)
    assert faults.happened["torn"] > 10


@pytest.mark.chaos
def test_half_written_objects_for_long(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    survive(long_day, tmp_path, record, "S3 gets half of every object", halves)


@pytest.mark.parametrize(
    "format_",
    ["parquet", pytest.param("ndjson", marks=pytest.mark.chaos), pytest.param("csv", marks=pytest.mark.chaos)],
)
def test_a_bad_line_is_not_taken_for_a_bad_file(
    s3: S3, record: Record, format_: Literal["parquet", "ndjson", "csv"]
) -> None:
    """A file that can't be read now is read later; it is not quarantined as damaged."""
    port = urlsplit(s3.endpoint).port
    assert port is not None
    rows = pl.DataFrame({"id": [f"r{i}" for i in range(5_000)], "timestamp": ["2024-03-01T00:00:00Z"] * 5_000})
    content = io.BytesIO()
    {"parquet": rows.write_parquet, "ndjson": rows.write_ndjson, "csv": rows.write_csv}[format_](content)
    obstore.put(s3.store, f"in-{format_}/rows.{format_}", content.getvalue())
    with proxy(port) as (front, faults):
        bucket = StorageSpec(
            prefix="s3://lake",
            root="s3://lake",
            endpoint_url=f"http://127.0.0.1:{front}",
            access_key_id=KEY,
            secret_access_key=SecretStr(SECRET),
            region=REGION,
            timeout_seconds=0.1,
        )
        spec = FilesSourceSpec(type="files", uri=f"s3://lake/in-{format_}", format=format_)
        source = open_source(spec, StorageMap((bucket,)))
        planned = source.plan({}, end_of(1), 10_000)
        refused = 0
        for spare in range(3):
            for ask in (lambda: source.plan({}, end_of(1), 10_000), lambda: _ids(source, planned)):
                faults.spare, faults.denials = spare, sys.maxsize
                try:
                    assert ask() in (planned, rows["id"].to_list())
                except SourceDownError:
                    refused += 1
                faults.denials = 0
        started = time.monotonic()
        found = _ids(source, source.plan({}, end_of(1), 10_000))
        seconds = time.monotonic() - started
    lost, twice = rows.height - len(set(found)), len(found) - len(set(found))
    record(Outcome(f"S3 fails within a source's {format_} file", "servers", refused, rows.height, lost, twice, seconds))
    assert refused >= 3
    assert found == rows["id"].to_list()


def _ids(source: Source, planned: Sequence[Slice]) -> list[str]:
    return source.read(planned, [JsonPath("$.id")]).values["$.id"].to_list()


def expiry(code: str, after: float) -> Attack:
    """From some moment on every request is refused."""

    def attack(trouble: Trouble, faults: Faults) -> None:
        faults.denied = (403, code)
        trouble.goes_on(after)
        faults.denials = sys.maxsize

    return attack


def renew(day: Day[Hosted], folder: Path, record: Record, attacks: Sequence[Attack]) -> None:
    """Each attack ends a run, with an error that says what to renew; the next run, whose keys are good, goes on."""
    with bad_network(day, folder) as (behind, faults):
        for attack in attacks:
            with beside(partial(attack, faults=faults)):
                _check_expiry(attempt(behind, day.flows))
            faults.denials = 0
        started = time.monotonic()
        until_done(behind, day.flows, StorageDownError)
        seconds = time.monotonic() - started
        direct = replace(behind, s3=day.before.s3)
        note(record, day, direct, "S3 refuses keys that expired", faults.happened["denied"], seconds)


def _check_expiry(failures: Sequence[FlywheelError]) -> None:
    """A run may be over before its keys expire; if not, its error says so."""
    for error in failures:
        assert isinstance(error, StorageError)
        assert not isinstance(error, StorageDownError)
        assert "refuses our credentials" in error.what
        assert "renew" in error.next_step
        assert SECRET not in str(error)


def test_expired_keys(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    renew(a_little(undisturbed), tmp_path, record, [expiry("ExpiredToken", 0.1)])


@pytest.mark.chaos
def test_expired_keys_at_many_moments(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    codes = ["ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"] * 7
    renew(long_day, tmp_path, record, [expiry(code, 0.1 * number) for number, code in enumerate(codes)])
