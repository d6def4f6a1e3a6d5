"""What folders and buckets report, in plain words: what may pass by itself, and what a person must do."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from obstore.exceptions import GenericError, PermissionDeniedError

from flywheel.errors import DiskFullError, FlywheelError, StorageDownError, StorageError
from flywheel.lake.options import delta_options, polars_options
from flywheel.lake.storage import Location, StorageMap
from flywheel.lake.trouble import persistently, reaching
from flywheel.manifest.documents import StorageSpec

BUCKET = Location("s3://lake/parcels")


def tell(error: Exception, location: Location = BUCKET) -> FlywheelError:
    with pytest.raises(FlywheelError) as raised, reaching(location):
        raise error
    assert raised.value.state
    assert location.uri in raised.value.what
    return raised.value


def test_silence_and_overload_may_pass() -> None:
    silent = "Kernel error -> Generic S3 error\n  \x1b[31m↳\x1b[0m Error performing GET x\n error sending request"
    busy = "Generic S3 error: Server returned non-2xx status code: 503 Service Unavailable: <Code>SlowDown</Code>"
    for error in (OSError(silent), GenericError(busy), TimeoutError("error sending request\n\nCaused by:\n x")):
        told = tell(error)
        assert isinstance(told, StorageDownError)
        assert "\x1b" not in told.what
        assert "Caused by" not in told.what


def test_expired_keys_wait_for_a_person() -> None:
    for error in (PermissionDeniedError("403 Forbidden"), OSError("400 Bad Request: <Code>ExpiredToken</Code>")):
        told = tell(error)
        assert isinstance(told, StorageError)
        assert not isinstance(told, StorageDownError)
        assert "FLYWHEEL_S3_ACCESS_KEY_ID" in told.next_step


def test_what_s3_says_is_shown_however_long_the_path() -> None:
    told = tell(PermissionError(f"no privileges for path {'x' * 500}: 403 Forbidden: <Code>ExpiredToken</Code>"))
    assert "refuses our credentials: ExpiredToken: no privileges" in told.what
    assert isinstance(tell(OSError(f"{'x' * 500} error sending request")), StorageDownError)


def test_a_wrong_clock_is_named() -> None:
    assert "clock" in tell(PermissionDeniedError("403 Forbidden: <Code>RequestTimeTooSkewed</Code>")).next_step


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    full = OSError(28, "No space left on device")
    assert isinstance(tell(full, Location(str(tmp_path))), DiskFullError)
    assert isinstance(tell(GenericError("Generic LocalFileSystem error: ... (os error 28)")), DiskFullError)


def test_answers_pass() -> None:
    for error in (FileNotFoundError("x"), TableNotFoundError("x"), CommitFailedError("Concurrent transaction failed")):
        with pytest.raises(type(error)), reaching(BUCKET):
            raise error


def test_three_attempts_then_it_is_told() -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise GenericError("error sending request")

    with pytest.raises(StorageDownError):
        persistently(BUCKET, fail)
    assert len(attempts) == 3


def test_every_library_is_told_how_long_to_wait() -> None:
    """Polars would wait for ever."""
    spec = StorageSpec(prefix="s3://lake", root="s3://lake", timeout_seconds=2.5)
    location = StorageMap((spec,)).resolve("s3://lake/parcels")
    assert location.options["timeout"] == "2500ms"
    assert delta_options(location)["retry_timeout"] == "10000ms"
    assert (polars_options(location) or {})["retry_timeout_ms"] == 10_000
    assert polars_options(Location("/here")) is None
