"""Text, numbers and times that somebody sends who means harm, or whose machine is broken."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# FLYWHEEL_EXAMPLES=5000 attacks for an hour; without it each attack is a few seconds long.
_EXAMPLES = int(os.environ.get("FLYWHEEL_EXAMPLES", "0"))


def attack(examples: int) -> settings:
    """Settings of a property: so many examples, or as many as the environment says."""
    return settings(
        deadline=None,
        max_examples=_EXAMPLES or examples,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


NAMES = [
    "'; DROP TABLE predictions; --",
    "x' OR '1'='1",
    "\"; ATTACH 'pwned.db' AS p; --",
    "'); COPY (SELECT 1) TO 'pwned.csv'; --",
    'a"b',
    "a'b",
    "`touch pwned`",
    "$(touch pwned)",
    "; touch pwned",
    "| touch pwned",
    "../../../pwned",
    "..",
    ".",
    "/etc/passwd",
    "/tmp/pwned",
    "a/b",
    "a\\b",
    "%00",
    "%2e%2e%2fpwned",
    "a\0b",
    "a\nb",
    "a\r\nb: c",
    "\u202etxt.exe",
    "\ufeffa",
    "{{7*7}}",
    "${HOME}",
    "%s%n",
    "=cmd|'/C calc'!A0",
    "<script>alert(1)</script>",
    "date=2013-01-01",
    "__HIVE_DEFAULT_PARTITION__",
    "null",
    "x" * 5000,
    "𝒳" * 300,
]
names = st.sampled_from(NAMES) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
"""Names and texts as they would be written to do harm."""

NUMBERS = ["1e400", "-1e400", "1" + "0" * 40, "-" + "9" * 400, "1e-400", "9223372036854775808", "-9223372036854775809"]
NUMBERS += ["18446744073709551616", "NaN", "Infinity", "-Infinity", "-0", "0.1", "9007199254740993", "1e308", "5e-324"]

TIMES = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999999Z", "10000-01-01T00:00:00Z"]
TIMES += ["9999-12-31T23:59:59-14:00", "-0001-01-01T00:00:00Z", "+262143-01-01T00:00:00Z", "0000-00-00", "2013-02-30"]
TIMES += [
    "2016-12-31T23:59:60Z",
    "253402300800",
    "-62135596801",
    "1e18",
    "1e400",
    "½013-01-01",
    "2013-01-01T00:00:00+½",
]
TIMES += [
    "2013-01-01T00:00:00−05:00",
    "２０１３-01-01",
    "2013-01-01T00:00:00.123456789012345678901234567890Z",
    "now",
    "",
]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its content."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
