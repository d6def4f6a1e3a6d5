"""The errors for messages that a topic no longer holds: which offsets, what is left, what to do."""

from __future__ import annotations

from flywheel.sources.base import Slice, SourceError
from flywheel.sources.kafka_client import Bounds

_KEPT = "the batch stays planned; nothing of it was written"


def gone_before_planned(part: str, offset: int, bounds: Bounds) -> SourceError:
    """The broker's retention was faster than the pipeline."""
    return SourceError(
        f"{part}: offsets {offset} to {bounds.low - 1} are gone, and were never read; there is {_there(bounds)}",
        state="nothing new was planned; what was planned and written before stays",
        next_step=f"set `on_truncation: skip` in the Source document, which goes on at offset {bounds.low} without "
        "them, and run `flywheel apply`; raise the topic's retention.ms or retention.bytes",
    )


def made_anew(part: str, offset: int, bounds: Bounds) -> SourceError:
    """A partition that ends before what was read of it is another one."""
    return SourceError(
        f"{part}: it was read up to offset {offset - 1} already, but there is {_there(bounds)}; "
        "the topic was deleted and made anew, or the broker lost messages",
        state="nothing new was planned; what was planned and written before stays",
        next_step="give the new topic another name, write it as `topic` in the Source document, and run "
        "`flywheel apply`: it is then read from its beginning",
    )


def gone_since_planned(piece: Slice, found: int, bounds: Bounds) -> SourceError:
    """A planned batch can't be read again."""
    first, last = int(piece.after), int(piece.mark) - 1
    gone = f"offsets {first} to {min(bounds.low - 1, last)} are gone" if bounds.low > first else "some are gone"
    return SourceError(
        f"{piece.part}: of the {piece.rows} rows planned from offsets {first} to {last}, {found} are left; {gone}; "
        f"there is {_there(bounds)}",
        state=_KEPT,
        next_step="restore the topic with its offsets from a mirror or a backup, then run the pipeline again; keep "
        "retention (and min.compaction.lag.ms) longer than a batch may take",
    )


def _there(bounds: Bounds) -> str:
    return f"only {bounds.low} to {bounds.high - 1}" if bounds.high > bounds.low else f"nothing before {bounds.high}"
