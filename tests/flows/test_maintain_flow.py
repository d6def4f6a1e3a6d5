"""``maintain`` as Prefect runs it."""

from __future__ import annotations

import json

from parcels import NAME, Parcels, end_of, known_after
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.maintain import MaintainSummary, maintain


def test_maintain_says_what_it_did(parcels: Parcels) -> None:
    parcels.day(1, 450)
    infer(NAME, as_of=end_of(1))
    join_feedback(NAME, as_of=known_after(1))
    before = parcels.table("predictions")
    summary = maintain(NAME, as_of=known_after(1))
    assert summary == MaintainSummary(pipeline=NAME, files_before=summary.files_before, files_after=summary.files_after)
    assert summary.files_after < summary.files_before
    assert parcels.table("predictions").equals(before)
    again = maintain(NAME, as_of=known_after(1))
    assert again.files_before == again.files_after == summary.files_after
    with get_client(sync_client=True) as client:
        shown = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[f"maintain-{NAME}"])))
    rows = json.loads(str(shown[0].data))
    assert {row["what"] for row in rows} >= {"files before", "files after", "bytes freed", "rows expired"}
