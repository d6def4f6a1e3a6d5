"""Prefect's settings that recovery rests on. Importing this starts nothing, and does not read Prefect's settings."""

from __future__ import annotations

HEARTBEAT_SECONDS = 30
# A run tells that it lives this often, which is as often as Prefect lets it.
RUN_SETTINGS = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)}
SERVER_SETTINGS = {
    # The places that runs hold are forgotten with the server otherwise, and never given back if a run dies meanwhile.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # A run that fell silent while the server was away for longer than this (default: a minute) is not noticed.
    "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P1D",
}
