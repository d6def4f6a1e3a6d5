"""The errors that Flywheel raises on purpose: each says what failed, what state is left and what to type next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.manifest.problems import Problem


class FlywheelError(Exception):
    """Something a person can act on.

    Parameters
    ----------
    what
        What failed, with the names and values involved; never a secret.
    state
        What is left behind, e.g. ``"batch 7 stays planned; nothing was written"``.
    next_step
        What to type or change next.

    >>> print(FlywheelError("sink 'crm' refused batch 7", state="it stays undelivered", next_step="flywheel run infer"))
    sink 'crm' refused batch 7
      state: it stays undelivered
      next: flywheel run infer
    """

    def __init__(self, what: str, *, state: str = "", next_step: str = "") -> None:
        self.what = what
        self.state = state
        self.next_step = next_step
        lines = [what]
        if state:
            lines.append(f"  state: {state}")
        if next_step:
            lines.append(f"  next: {next_step}")
        super().__init__("\n".join(lines))


class ManifestError(FlywheelError):
    """A manifest, or a document beside it, is not valid; ``problems`` has each error with its file and line."""

    def __init__(self, what: str, *, problems: Sequence[Problem] = (), state: str = "", next_step: str = "") -> None:
        super().__init__(what, state=state, next_step=next_step)
        self.problems = tuple(problems)


class TransientError(FlywheelError):
    """Something that may have passed by the time the same is done again."""


class DatabaseError(FlywheelError):
    """The metadata database refused what was asked of it."""


class DatabaseDownError(DatabaseError, TransientError):
    """The metadata database can't be reached, or the connection ended in the middle."""


class StorageError(FlywheelError):
    """A folder or a bucket refused what was asked of it."""


class StorageDownError(StorageError, TransientError):
    """A bucket can't be reached, is silent or overloaded, or the connection ended in the middle."""


class DiskFullError(FlywheelError):
    """There is no room left for what had to be written."""


class NotFoundError(FlywheelError):
    """A name that nothing answers to."""


class ModelMismatchError(FlywheelError):
    """The model expects other features than the manifest gives it."""


class InferenceError(TransientError):
    """The model server did not answer, or answered something unusable."""


class AccessError(FlywheelError):
    """A server does not let us in, or is not proven to be the one we mean; no retry helps."""


class ExportGateError(FlywheelError):
    """The data-quality gate refused an export; nothing was published."""


class TamperedModelError(FlywheelError):
    """A model file is not the one that was registered, or not one that is safe to load."""


class PromotionConflictError(FlywheelError):
    """A model's champion, or a version's status, is not what the decision was made on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest known name, or an empty string.

    >>> did_you_mean("flight-delay", ["anomaly-detection", "flight-delays"])
    " (did you mean 'flight-delays'?)"
    >>> did_you_mean("zzz", ["flight-delays"])
    ''
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def not_found(kind: str, name: str, known: Iterable[str], *, next_step: str = "") -> NotFoundError:
    """Build the error for a ``kind`` called ``name`` that is not among ``known``."""
    names = sorted(known)
    listing = ", ".join(names) if names else "none"
    return NotFoundError(f"no {kind} {name!r}{did_you_mean(name, names)}; there is: {listing}", next_step=next_step)
