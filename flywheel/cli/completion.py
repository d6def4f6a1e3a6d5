"""Names for the shell to complete. A workspace that can't be read completes nothing and says nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.metadata.database import Database


def complete_pipeline(incomplete: str) -> list[str]:
    """The pipelines in service that begin with what was typed."""
    from flywheel.metadata.queries.pipelines import pipeline_names

    return _complete(incomplete, pipeline_names)


def complete_model(incomplete: str) -> list[str]:
    """The models in the registry that begin with what was typed."""
    from flywheel.metadata.queries.models import model_ids

    return _complete(incomplete, model_ids)


def _complete(incomplete: str, names_in: Callable[[Database], list[str]]) -> list[str]:
    from flywheel.cli.session import open_database

    with suppress(Exception):
        return [name for name in names_in(open_database()) if name.startswith(incomplete)]
    return []
