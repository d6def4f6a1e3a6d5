"""The messages of a Kafka topic; how far they were read is in the batch plan, never on the broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from flywheel.manifest.documents import KafkaSourceSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.records import Records, concat_records
from flywheel.sources.base import Progress, Slice
from flywheel.sources.kafka_client import Fetch, KafkaTopic, connected, offset_of
from flywheel.sources.kafka_gone import gone_before_planned, gone_since_planned, made_anew
from flywheel.sources.kafka_plan import PartitionPlan, share_rows
from flywheel.sources.kafka_values import message_records, message_values
from flywheel.sources.visible import known_since, time_paths, visible_prefix


class KafkaSource:
    """The topic ``spec.topic``: a part is a partition, and its rows are numbered whatever gaps its offsets have.

    A slice's ``after`` is the offset that its rows begin at or after, its ``mark`` the offset to go on at.
    """

    def __init__(self, spec: KafkaSourceSpec) -> None:
        self._spec = spec
        self._times = time_paths(spec.event_time, spec.received_at)

    def plan(self, done: Mapping[str, Progress], as_of: datetime, max_rows: int) -> list[Slice]:
        """See ``Source.plan``."""
        with connected(self._spec) as topic:
            numbers = topic.partitions()
            # A partition that comes later is read whole: `latest` is about what was there before the pipeline.
            from_end = self._spec.start == "latest" and not any(self._part(number) in done for number in numbers)
            plans = [self._begin(topic, number, done.get(self._part(number)), from_end) for number in numbers]
            left = max_rows
            while left and (open_plans := [plan for plan in plans if not plan.held]):
                left -= self._advance(topic, open_plans, as_of, left)
        return [plan.slice() for plan in plans if plan.rows or from_end]

    def read(self, slices: Sequence[Slice], paths: Sequence[JsonPath]) -> Records:
        """See ``Source.read``."""
        wanted = list(dict.fromkeys(paths))
        if not slices:
            return concat_records([], wanted)
        with connected(self._spec) as topic:
            return concat_records([self._read_slice(topic, piece, wanted) for piece in slices], wanted)

    def _part(self, number: int) -> str:
        return f"{self._spec.topic}-{number}"

    def _begin(self, topic: KafkaTopic, number: int, progress: Progress | None, from_end: bool) -> PartitionPlan:
        part = self._part(number)
        if progress is None:
            bounds = topic.bounds(number)
            begin = topic.end(number, bounds.high) if from_end else bounds.low
            return PartitionPlan(number, part, 0, begin, reached=begin, held=from_end)
        begin = int(progress.mark)
        bounds = topic.bounds(number, begin)
        if begin > bounds.high:
            raise made_anew(part, begin, bounds)
        if begin < bounds.low and self._spec.on_truncation == "fail":
            raise gone_before_planned(part, begin, bounds)
        begin = max(begin, bounds.low)
        return PartitionPlan(number, part, progress.rows, begin, reached=begin)

    def _advance(self, topic: KafkaTopic, plans: Sequence[PartitionPlan], as_of: datetime, rows: int) -> int:
        """Plan up to ``rows`` more rows, fairly; return how many it was."""
        # Who had the least comes first, in case there are fewer rows than partitions.
        turn = sorted(plans, key=lambda plan: plan.start + plan.rows)
        shares = share_rows(rows, len(turn))
        pairs = [(plan, Fetch(plan.number, plan.reached, share)) for plan, share in zip(turn, shares, strict=True)]
        pairs = [(plan, fetch) for plan, fetch in pairs if fetch.limit]
        topic.fetch([fetch for _, fetch in pairs])
        return sum(self._take(plan, fetch, as_of) for plan, fetch in pairs)

    def _take(self, plan: PartitionPlan, fetch: Fetch, as_of: datetime) -> int:
        """Add what may be seen of the fetched messages."""
        times = known_since(message_values(fetch.messages, self._times), self._times)
        seen = visible_prefix(times, as_of)
        if seen:
            plan.rows += seen
            plan.reached = offset_of(fetch.messages[seen - 1]) + 1
        plan.held = fetch.end is not None or seen < len(fetch.messages)
        return seen

    def _read_slice(self, topic: KafkaTopic, piece: Slice, paths: list[JsonPath]) -> Records:
        number, begin, stop = int(piece.part.rpartition("-")[2]), int(piece.after), int(piece.mark)
        bounds = topic.bounds(number, stop)
        fetch = Fetch(number, max(begin, bounds.low), piece.rows)
        if stop <= bounds.high:
            topic.fetch([fetch])
        kept = [message for message in fetch.messages if offset_of(message) < stop]
        if len(kept) != piece.rows:
            raise gone_since_planned(piece, len(kept), bounds)
        return message_records(kept, piece.part, piece.start, paths)
