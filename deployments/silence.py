"""The automations that mark a run as crashed when its process is gone.

A run tells Prefect every 30 seconds that it lives. One that falls silent would be shown as running for ever, and hold
its deployment's one place for minutes. An automation is a hint like every event; what it misses ``reconcile`` finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events import EventTrigger, Posture, ResourceSpecification
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore

from deployments.names import NEVER_BEGAN, SILENT, TAG
from deployments.settings import HEARTBEAT_SECONDS

# Two heartbeats, and as long as a busy machine may be late with one.
SILENCE = timedelta(seconds=2 * HEARTBEAT_SECONDS + 10)
# Within which a worker's process begins; what a cluster has to prepare first has a state of its own, and no limit here.
START = timedelta(minutes=3)


def watch_for_silence(client: SyncPrefectClient) -> Iterator[str]:
    """Make the automations, or bring them up to date; yield what was done."""
    for wanted in (
        _automation(SILENT, ("Running", "Retrying", "heartbeat"), SILENCE),
        _automation(NEVER_BEGAN, ("Pending", "Submitting"), START),
    ):
        yield f"automation {wanted.name!r}: {_save(client, wanted)}"


def _save(client: SyncPrefectClient, wanted: AutomationCore) -> str:
    known = client.read_automations_by_name(wanted.name)
    if not known:
        client.create_automation(wanted)
        return "created"
    if _meaning(known[0]) == _meaning(wanted):
        return "unchanged"
    client.update_automation(known[0].id, wanted)
    return "updated"


def _automation(name: str, signs: tuple[str, ...], silence: timedelta) -> AutomationCore:
    """Crash the runs that nothing is heard of for so long after one of these signs."""
    return AutomationCore(
        name=name,
        description=f"Nothing was heard of the run for {silence.total_seconds():.0f} seconds: its process is gone.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            # Whoever shares this server has runs of their own.
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=ResourceSpecification(
                {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
            ),
            after={f"prefect.flow-run.{sign}" for sign in signs},
            # Whatever comes is a sign of life, an end or a pause too.
            expect={"prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            threshold=1,
            within=silence,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"silent for {silence.total_seconds():.0f} s: its process is gone"
            )
        ],
    )


def _meaning(automation: AutomationCore) -> dict[str, object]:
    """What an automation does, without the ids that the server gives it, and whether a person switched it off."""
    trigger = automation.trigger.model_dump(mode="json", exclude={"id"})
    return {
        "description": automation.description,
        "trigger": {name: sorted(value) if isinstance(value, list) else value for name, value in trigger.items()},
        "actions": [action.model_dump(mode="json") for action in automation.actions],
    }
