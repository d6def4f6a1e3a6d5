"""Types that the manifest's models share: names, columns, durations, times and rates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

RESERVED_COLUMNS = frozenset(
    {
        "prediction_id", "event_time", "predicted_at", "model_id", "model_version", "variant", "batch_id", "status",
        "sample_key", "date", "entity", "label", "confidence", "weight", "received_at", "event",
    }
)  # fmt: skip

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
MOST = 10**12  # more rows than any machine counts to
LONGEST = timedelta(days=36_525)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def check_name(value: str) -> str:
    """Refuse what can't be a path, an SQL identifier and a resource id at once.

    >>> check_name("Flight_Delays")
    Traceback (most recent call last):
    ...
    ValueError: must be lower-case letters, digits and hyphens, at most 63; write 'flight-delays'
    """
    if _NAME.fullmatch(value):
        return value
    better = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:63].strip("-")
    hint = f"; write {better!r}" if better else ""
    raise ValueError(f"must be lower-case letters, digits and hyphens, at most 63{hint}")


def check_identifier(value: str) -> str:
    """Refuse what CEL and SQL don't take as a plain name."""
    if not _COLUMN.fullmatch(value):
        better = re.sub(r"[^A-Za-z0-9_]+", "_", value).strip("_")[:63]
        hint = f"; write {better!r}" if _COLUMN.fullmatch(better) else ""
        raise ValueError(f"must be letters, digits and underscores, not starting with a digit, at most 63{hint}")
    return value


def check_column(value: str) -> str:
    """Refuse a column that the prediction log has already."""
    if value.lower() in RESERVED_COLUMNS:
        raise ValueError(f"is a column of the prediction log already; reserved: {', '.join(sorted(RESERVED_COLUMNS))}")
    return value


def check_port(value: str) -> str:
    """Refuse an address whose port no machine has."""
    port = value.rpartition(":")[2]
    if ":" in value and port.isdecimal() and not 1 <= int(port) <= 65_535:
        raise ValueError(f"has the port {port}; ports go from 1 to 65535")
    return value


def is_loopback(address: str) -> bool:
    """Whether what is sent to an address stays on this machine.

    >>> is_loopback("127.0.0.1:50051"), is_loopback("[::1]:50051"), is_loopback("0.0.0.0:50051")
    (True, True, False)
    """
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(value: str) -> str:
    """Refuse a user or a password in a URL: URLs are shown, in errors and in ``flywheel get``."""
    if "@" in urlsplit(value).netloc:
        raise ValueError("must not hold a user or a password: it is shown to whoever may see the rest")
    return value


def check_token(value: SecretStr | None) -> SecretStr | None:
    """Refuse what no HTTP header can carry; the message does not repeat it."""
    if value is None:
        return None
    token = value.get_secret_value().strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("must be letters, digits and signs of ASCII without spaces, at least one")
    return SecretStr(token)


def parse_duration(value: object) -> object:
    """Turn ``"36h"``, ``"7d"`` or ``"2w"`` into a timedelta; ISO 8601 (``"P7D"``) is left to pydantic.

    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is not a duration; write a number and a unit: 30s, 15m, 36h, 7d or 2w")
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise ValueError("is longer than a century") from None


def check_century(value: timedelta) -> timedelta:
    """Refuse what reaches from today beyond the calendar's ends, or so far that it is meant otherwise."""
    if value > LONGEST:
        raise ValueError("is longer than a century")
    return value


def check_cron(value: str) -> str:
    """Refuse what is not a cron schedule of five fields.

    >>> check_cron("*/10 * * *")
    Traceback (most recent call last):
    ...
    ValueError: is not a cron schedule (wrong number of fields): write minute hour day month weekday, e.g. */10 * * * *
    """
    from cronsim import CronSim, CronSimError

    try:
        if len(value.split()) != 5:
            raise CronSimError("Wrong number of fields")
        CronSim(value, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        reason = str(error).lower()
        raise ValueError(
            f"is not a cron schedule ({reason}): write minute hour day month weekday, e.g. */10 * * * *"
        ) from None
    return value


def check_aws_block(value: str) -> str:
    """Refuse what is not the name of a block that holds credentials of an S3."""
    if re.fullmatch(r"(aws-credentials|minio-credentials|s3-bucket)/[a-z0-9-]+", value) is None:
        raise ValueError("is not a block: write aws-credentials/NAME, minio-credentials/NAME or s3-bucket/NAME")
    return value


def assume_utc(value: datetime) -> datetime:
    """A time without a zone is UTC; any other is turned into it. ValueError where the calendar ends on the way."""
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999 in UTC") from None


Name = Annotated[str, AfterValidator(check_name), Field(description="Lower-case letters, digits and hyphens")]
Identifier = Annotated[str, AfterValidator(check_identifier), Field(description="Letters, digits and underscores")]
Column = Annotated[Identifier, AfterValidator(check_column)]
Endpoint = Annotated[str, AfterValidator(check_port)]
# A block that prefect-aws knows; the engine does not, and hands the name to whoever does.
AwsBlock = Annotated[str, AfterValidator(check_aws_block)]
# In one piece: Prefect sees no secret in Annotated[SecretStr, …] | None, and would store asterisks in its place.
Url = Annotated[str, AfterValidator(check_url)]
Token = Annotated[SecretStr | None, AfterValidator(check_token)]
Cron = Annotated[str, AfterValidator(check_cron)]
Moment = Annotated[datetime, AfterValidator(assume_utc)]
Span = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(0)), AfterValidator(check_century)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0)), AfterValidator(check_century)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class Spec(BaseModel):
    """Base of every part of a manifest: unknown fields are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)
