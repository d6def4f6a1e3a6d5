"""Deletes what killed runs left beside the tables, once nobody can be about to use it.

A run that is killed between writing a file and noting it leaves the file: a model that was never registered, its
baseline, an export that was never published, a batch under a temporary name, one that was scored ahead. Its next run
writes them anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from flywheel.context import PipelineContext
from flywheel.export.manifest import MANIFEST_FILE
from flywheel.lake.storage import StoredFile
from flywheel.maintenance.vacuum import Freed

# What a local object store calls a file until it is whole; it does not list them.
_TEMPORARY = re.compile(r"#\d+$")
_STAGED = re.compile(r"(\d{10})\.arrow$")

Leftovers = Iterator[tuple[str, StoredFile]]


def remove_leftovers(context: PipelineContext) -> Freed:
    """Delete the leftovers of a pipeline that are older than its grace period."""
    limit = datetime.now(UTC) - context.pipeline.spec.retention.grace
    found = [*_models(context), *_baselines(context), *_exports(context), *_unplanned(context), *_halves(context)]
    old = [(folder, file) for folder, file in found if file.modified < limit]
    for folder, file in old:
        context.storage.delete(f"{folder}/{file.path}")
    half = [path for path in _half_written(context) if datetime.fromtimestamp(path.stat().st_mtime, UTC) < limit]
    freed = sum(file.size for _, file in old) + sum(path.stat().st_size for path in half)
    for path in half:
        path.unlink(missing_ok=True)
    return Freed(len(old) + len(half), freed)


def _models(context: PipelineContext) -> Leftovers:
    """Model files that no version has."""
    model_id = context.pipeline.inference.model_id
    yield from _unnoted(
        context,
        f"{context.registry.root}/{model_id}",
        (".skops",),
        lambda: {version.uri.rpartition("/")[2] for version in context.registry.versions(model_id)},
    )


def _baselines(context: PipelineContext) -> Leftovers:
    """Baselines that no version is compared with, and the samples beside them."""
    model_id = context.pipeline.inference.model_id
    folder = f"{context.workspace.lake.rstrip('/')}/baselines/{model_id}"
    drift = context.pipeline.drift
    fixed = drift.baseline_uri if drift is not None else None

    def noted() -> set[str]:
        cards = [version.card for version in context.registry.versions(model_id)]
        names = {f"{card.baseline_id}{suffix}" for card in cards for suffix in (".json", ".parquet")}
        return names | ({fixed.rpartition("/")[2]} if fixed is not None else set())

    yield from _unnoted(context, folder, (".json", ".parquet"), noted)


def _unnoted(
    context: PipelineContext, folder: str, suffixes: tuple[str, ...], noted: Callable[[], set[str]]
) -> Leftovers:
    # What is noted is looked up after the listing: a file is written first, then noted.
    files = [file for file in context.storage.list_files(folder) if file.path.endswith(suffixes)]
    names = noted() if files else set()
    yield from ((folder, file) for file in files if file.path not in names)


def _exports(context: PipelineContext) -> Leftovers:
    """Files of exports that were never published, in folders that are named by an id of this pipeline's."""
    if context.pipeline.export is None:
        return
    destination = context.pipeline.export.destination_uri.rstrip("/")
    ours = [file for file in context.storage.list_files(destination) if _folder(file).startswith(f"{context.name}.")]
    published = {_folder(file) for file in ours if file.path == f"{_folder(file)}/{MANIFEST_FILE}"}
    yield from ((destination, file) for file in ours if _folder(file) not in published)


def _unplanned(context: PipelineContext) -> Leftovers:
    """Staged batches that the ledger does not know: it was put back from a backup."""
    folder = context.folder("staging")
    files = context.storage.list_files(folder)
    newest = context.records.latest()
    last = newest.number if newest else 0
    yield from ((folder, file) for file in files if (name := _STAGED.match(file.path)) and int(name[1]) > last)


def _halves(context: PipelineContext) -> Leftovers:
    """Batches that were scored ahead, and selected rows, that the run which wanted them did not come to."""
    for folder in (context.folder("drafts"), context.folder("export-parts")):
        yield from ((folder, file) for file in context.storage.list_files(folder))


def _half_written(context: PipelineContext) -> Iterator[Path]:
    """Files under a temporary name. A bucket has none: it shows an object when all of it is there."""
    for uri in (context.folder(), f"{context.registry.root}/{context.pipeline.inference.model_id}"):
        place = context.storage.resolve(uri)
        if place.is_local:
            yield from (path for path in Path(place.uri).rglob("*#*") if _TEMPORARY.search(path.name))


def _folder(file: StoredFile) -> str:
    return file.path.partition("/")[0]
