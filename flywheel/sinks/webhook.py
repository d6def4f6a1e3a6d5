"""Alerts in the format of Alertmanager's API v2: ``POST {url}/api/v2/alerts`` with a list of alerts.

Reference: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (postableAlerts). Alertmanager takes
alerts with the same labels as one alert, so that a batch that is delivered twice raises nothing new.
"""

from __future__ import annotations

import httpx
import polars as pl

from flywheel.manifest.documents import WebhookSinkSpec
from flywheel.records.text import ISO_TIME
from flywheel.redact import redact
from flywheel.sinks.as_json import rows_as_json
from flywheel.sinks.base import SinkBatch, SinkError, not_delivered

CHUNK_ROWS = 500
ALERT_NAME = "FlywheelPrediction"


class WebhookSink:
    """Posts one alert a row, 500 a request, with ``spec.token`` as a bearer token."""

    def __init__(self, name: str, spec: WebhookSinkSpec) -> None:
        self._name = name
        self._spec = spec
        self._url = spec.url.rstrip("/") + "/api/v2/alerts"

    def deliver(self, batch: SinkBatch) -> int:
        """See ``Sink.deliver``."""
        alerts = alerts_of(batch, self._spec.labels)
        headers = {"Content-Type": "application/json"}
        if self._spec.token is not None:
            headers["Authorization"] = f"Bearer {self._spec.token.get_secret_value()}"
        with httpx.Client(timeout=self._spec.timeout_seconds, headers=headers) as client:
            for start in range(0, len(alerts), CHUNK_ROWS):
                self._post(client, batch, alerts[start : start + CHUNK_ROWS], start)
        return len(alerts)

    def _post(self, client: httpx.Client, batch: SinkBatch, alerts: pl.Series, start: int) -> None:
        body = f"[{','.join(alerts)}]".encode()
        key = f"{batch.pipeline}/{batch.number}/{start}"
        try:
            response = client.post(self._url, content=body, headers={"Idempotency-Key": key})
        except httpx.HTTPError as error:
            raise self._refused(batch, f"{self._url} can't be reached ({type(error).__name__}: {error})") from error
        if not response.is_success:
            # The answer of a server that repeats what it was asked must not tell the token.
            answer = redact(" ".join(response.text.split()), self._spec.token)[:200]
            raise self._refused(batch, f"{self._url} answered {response.status_code} {answer}".rstrip())

    def _refused(self, batch: SinkBatch, why: str) -> SinkError:
        return not_delivered(self._name, batch, why, "check that the address and the token in the Sink document work")


def alerts_of(batch: SinkBatch, labels: dict[str, str]) -> pl.Series:
    """Return one alert a row as JSON text.

    Labels: ``alertname``, ``pipeline``, ``prediction_id``, and the sink's own, which may replace these. Annotations:
    ``summary``, ``batch`` and ``prediction``, the row as JSON.
    """
    rows = batch.rows
    fixed = {"alertname": ALERT_NAME, "pipeline": batch.pipeline, **labels}
    named = [pl.lit(value).alias(name) for name, value in fixed.items()]
    identity = [] if "prediction_id" in labels else [pl.col("prediction_id")]
    annotations = pl.struct(
        pl.format("{}: prediction {}", pl.lit(batch.pipeline), pl.col("prediction_id")).alias("summary"),
        pl.lit(str(batch.number)).alias("batch"),
        rows_as_json(rows).alias("prediction"),
    )
    starts_at = pl.col("event_time").dt.strftime(ISO_TIME)
    alert = pl.struct(labels=pl.struct(*named, *identity), annotations=annotations, startsAt=starts_at)
    return rows.select(alert.struct.json_encode().alias("alert")).to_series()
