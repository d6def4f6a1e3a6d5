"""Artifacts: what runs show of drift, performance and retrains in the Prefect UI."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact

from flywheel.context import PipelineContext, at
from flywheel.drift.picture import histogram_png
from flywheel.drift.severity import recommendation
from flywheel.metadata.queries.performance import performance_windows
from flywheel.monitoring.decision import Decision
from flywheel.monitoring.window import span
from flywheel.performance.measure import Performance
from flywheel.performance.measured import MeasuredWindow
from flywheel.performance.picture import performance_png
from flywheel.performance.wording import days, estimated, in_words, labels_in_words
from flywheel.retraining.request import RetrainRequest
from flywheel.training.holdout import NotEnoughData

if TYPE_CHECKING:
    from flywheel.training.train import Candidate

# One line of the picture.
_WORST_FEATURES = 3
_SHOWN_WINDOWS = 26


def publish_drift(decision: Decision) -> None:
    """Show a drift check: the decision, a table of every feature, and the worst features' histograms."""
    findings = decision.findings
    lines = [
        f"## Drift of {decision.pipeline} at {at(decision.as_of)}",
        f"**{findings.outcome.replace('_', ' ')}**, severity **{decision.severity}**, action **{decision.action}**",
        f"{_plain(decision.reason)}.",
        f"Recommendation: {recommendation(decision.severity)}",
        f"Window: {span(decision.window)}, against baseline `{decision.baseline.id}`; check `{decision.check_id}`.",
        *_pictures(decision),
        *_joint_table(decision),
        *_feature_table(decision),
    ]
    create_markdown_artifact(
        "\n\n".join(lines), key=f"drift-{decision.pipeline}", description=f"Drift of {decision.pipeline}"
    )


def _feature_table(decision: Decision) -> list[str]:
    features = decision.findings.features
    if not features:
        return []
    measures = list(features[0].measures)
    head = ["feature", "severity", "surest of", "p (adjusted)", *measures]
    rows = [
        [
            _plain(finding.title),
            finding.severity,
            finding.question or "–",
            _number(finding.adjusted_p),
            *(_number(finding.measures.get(measure)) for measure in measures),
        ]
        for finding in features
    ]
    return [_markdown(head, rows)]


def _joint_table(decision: Decision) -> list[str]:
    """What features show together, where the manifest asks for it."""
    rows = [
        [
            each.name,
            each.severity,
            _number(each.adjusted_p),
            each.why_not or _number(each.value),
            ", ".join(each.features),
        ]
        for each in decision.findings.joint
    ]
    if not rows:
        return []
    head = ["together", "severity", "p (adjusted)", "AUC or cosine distance", "of"]
    return [_markdown(head, rows)]


def _markdown(head: list[str], rows: Sequence[list[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def _plain(text: str) -> str:
    """Text that may hold some of a record, such as the name of a slice: no HTML, link, code or cell of a table."""
    return "".join(f"&#{ord(each)};" if each in "<>&[]`|" else each for each in text)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _pictures(decision: Decision) -> list[str]:
    worst = decision.findings.features[:_WORST_FEATURES]
    if not worst:
        return []
    image = base64.b64encode(histogram_png(decision.baseline, decision.counts, worst)).decode()
    titles = _plain(", ".join(finding.title for finding in worst))
    return [f"![histograms of {titles} against the baseline](data:image/png;base64,{image})"]


def publish_performance(context: PipelineContext, performance: Performance) -> None:
    """Show the newest windows: the metric over time, and a table of what is known of each."""
    windows = performance_windows(context.database, context.name, _SHOWN_WINDOWS)[::-1]
    metric = performance.metric
    lines = [
        f"## Performance of {context.name} at {at(performance.as_of)}",
        f"**{metric}**: {performance.newest}.",
        "Open windows still wait for labels; their figures are corrected for those, with a 95% interval.",
    ]
    if windows:
        image = base64.b64encode(performance_png(windows, metric)).decode()
        lines += [f"![{metric} by window](data:image/png;base64,{image})", _window_table(windows, metric)]
    create_markdown_artifact(
        "\n\n".join(lines), key=f"performance-{context.name}", description=f"Performance of {context.name}"
    )


def _window_table(windows: Sequence[MeasuredWindow], metric: str) -> str:
    head = ["window (UTC)", "state", "rows", "labels", metric, "estimated", ""]
    rows = [
        [
            days(window), window.state, f"{window.rows:,}", labels_in_words(window),
            in_words(window.metrics.get(metric)), estimated(window.metrics.get(metric)), window.note,
        ]
        for window in reversed(windows)
    ]  # fmt: skip
    return _markdown(head, rows)


def publish_retrain(context: PipelineContext, request: RetrainRequest, trained: Candidate | NotEnoughData) -> None:
    """Show how a retrain ended, with both models' figures on the hold-out."""
    lines = [
        f"## Retrain of {context.name} at {at(request.as_of)}",
        f"**{(request.outcome or 'running').replace('_', ' ')}**: {request.reason}.",
        f"Asked for by `{request.key}`; candidate version {request.candidate}, champion version {request.champion}.",
        *_comparison(trained),
    ]
    create_markdown_artifact(
        "\n\n".join(lines), key=f"retrain-{context.name}", description=f"Retrain of {context.name}"
    )


def _comparison(trained: Candidate | NotEnoughData) -> list[str]:
    if isinstance(trained, NotEnoughData):
        return []
    champion = trained.champion.metrics if trained.champion else {}
    head = [f"| on {trained.evaluation.rows:,} held-out rows | candidate | champion |", "| --- | --- | --- |"]
    rows = [
        f"| {name} | {_number(value)} | {_number(champion.get(name))} |"
        for name, value in trained.evaluation.metrics.items()
    ]
    return ["\n".join([*head, *rows])]
