"""Which batches the sinks have yet to get."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, func, select

from flywheel.manifest.pipeline import Pipeline
from flywheel.metadata.database import Database
from flywheel.metadata.revisions import Revisions
from flywheel.metadata.schema import Batch, Delivery


@dataclass(frozen=True)
class Undelivered:
    """How many committed batches a sink has yet to get."""

    sink: str
    batches: int


def undelivered_batches(database: Database, pipeline: Pipeline) -> list[Undelivered]:
    """Count, for each sink of the pipeline, the committed batches of revisions that had it and that it did not get."""
    revisions = _revisions_by_sink(database, pipeline)
    found = []
    with database.session() as session:
        for sink, numbers in revisions.items():
            delivered = exists().where(
                Delivery.pipeline == Batch.pipeline, Delivery.number == Batch.number, Delivery.sink == sink
            )
            missing = select(func.count()).where(
                Batch.pipeline == pipeline.name,
                Batch.feed == "records",
                Batch.status == "committed",
                Batch.revision.in_(numbers),
                ~delivered,
            )
            if batches := session.scalar(missing):
                found.append(Undelivered(sink, batches))
    return found


def _revisions_by_sink(database: Database, pipeline: Pipeline) -> dict[str, list[int]]:
    used = select(Batch.revision).where(Batch.pipeline == pipeline.name, Batch.feed == "records").distinct()
    with database.session() as session:
        numbers = session.scalars(used).all()
    revisions = Revisions(database)
    sinks_of = {
        number: {ref.name for ref in revisions.get(pipeline.name, number).pipeline.spec.sinks} for number in numbers
    }
    return {
        ref.name: [number for number, names in sinks_of.items() if ref.name in names] for ref in pipeline.spec.sinks
    }
