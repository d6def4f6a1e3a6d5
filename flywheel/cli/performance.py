"""``flywheel performance``: how well the model does, by windows of event time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.cli import output
from flywheel.cli.options import AnyPipelineOption, JsonOption, LimitOption
from flywheel.cli.session import open_database

if TYPE_CHECKING:
    from flywheel.performance.measured import MeasuredWindow


@dataclass(frozen=True)
class PipelinePerformance:
    """The measured windows of a pipeline, newest first; ``metric`` is the one that is shown."""

    pipeline: str
    metric: str | None
    windows: list[MeasuredWindow]


def performance(pipeline: AnyPipelineOption = None, limit: LimitOption = 20, as_json: JsonOption = False) -> None:
    """Show what labels say of the model, window by window, the newest first.

    A window is open while labels of it may still come: its figures are corrected for those, with a 95% interval.
    Estimated is what calibrated scores promise before there are labels.
    """
    from flywheel.metadata.queries.performance import performance_windows
    from flywheel.metadata.queries.pipelines import select_pipelines
    from flywheel.metadata.revisions import Revisions

    database = open_database()
    version = None if as_json else 0
    found = [
        PipelinePerformance(
            name,
            Revisions(database).current(name).pipeline.performance.metric,
            performance_windows(database, name, limit, version),
        )
        for name in select_pipelines(database, pipeline)
    ]
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("no pipeline is in service; next: flywheel apply -f MANIFEST")
    for each in found:
        _print_windows(each)


def _print_windows(of: PipelinePerformance) -> None:
    from flywheel.performance.wording import days, estimated, in_words, labels_in_words

    if not of.windows:
        output.say(f"{of.pipeline}: nothing measured so far; next: flywheel run measure-performance -p {of.pipeline}")
        return
    metric = of.metric or next(iter(of.windows[0].metrics), "")
    table = output.table("window (UTC)", "state", "labels", metric, "estimated", title=of.pipeline)
    for window in of.windows:
        found = window.metrics.get(metric)
        output.add_row(table, days(window), window.state, labels_in_words(window), in_words(found), estimated(found))
    output.console().print(table)
    if of.windows[0].note:
        output.say(of.windows[0].note)
