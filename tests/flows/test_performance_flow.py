"""``measure-performance`` as Prefect runs it, on what the loop has written."""

from __future__ import annotations

from parcels import NAME, Document, Parcels, end_of, known_after
from plain import run
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.measure_performance import measure_performance


def _at_once(document: Document) -> None:
    document["spec"]["feedback"]["max_delay_hours"] = 4


def test_a_day_is_measured_stored_and_shown(parcels: Parcels) -> None:
    parcels.revise(_at_once)
    assert measure_performance(NAME, as_of=end_of(1)).newest == "not known yet: no feedback has been joined"
    parcels.day(1)
    run(infer, parcels, end_of(1))
    run(join_feedback, parcels, known_after(1))
    first = measure_performance(NAME, as_of=known_after(1))
    assert (first.final, first.open, first.metric) == (0, 1, "log_loss")
    parcels.day(2)
    run(infer, parcels, end_of(2))
    run(join_feedback, parcels, known_after(2))
    second = measure_performance(NAME, as_of=known_after(2))
    assert (second.final, second.open) == (1, 1)
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[f"performance-{NAME}"]))
    with get_client(sync_client=True) as client:
        shown = [str(artifact.data) for artifact in client.read_artifacts(artifact_filter=wanted)]
    final = "| 2024-03-01 to 2024-03-02 | final | 200 | 200 of 200 expected (100%) |"
    assert [final in text for text in shown].count(True) == 1
