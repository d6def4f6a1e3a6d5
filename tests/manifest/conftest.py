"""The seed's manifest, and a manifest with every part, for tests that change one thing."""

from __future__ import annotations

from pathlib import Path

import pytest

PIPELINES = Path(__file__).parents[2] / "deployments" / "pipelines"

WHOLE = """\
apiVersion: flywheel-ml.io/v1
kind: FlywheelPipeline
metadata:
  name: whole
spec:
  source: orders
  prediction_id: $.id
  stages:
    - id: first
      type: feature-extraction
      config:
        features:
          - {name: amount, source_field: $.amount, minimum: 0, transform: log1p}
          - {name: hour, source_field: $.at.hour, type: integer}
          - {name: country, source_field: $.country, type: category, categories: [nl, de]}
    - id: second
      type: feature-extraction
      config:
        features:
          - {name: new, source_field: $.new, type: boolean, default: false}
          - {name: colour, source_field: $.colour, transform: {one_hot: {categories: [red, blue]}}}
          - {name: size, source_field: $.size, transform: {bucketize: {boundaries: [1, 2]}}}
    - id: ask
      type: ml-inference
      config:
        model_endpoint: localhost:8001
        model_id: fraud
        input_features: [amount, country, hour, size]
        fallback: use_default
        default_prediction: {label: fine, score: 0.0}
        entity_key: $.customer
    - id: watch
      type: drift-detection
      config:
        mode: blocking
        window: 7d
        on_drift: retrain
  feedback:
    source: disputes
    join_key: $.order
    payload:
      lost: {path: $.lost, type: float}
      reason: $.reason
    labels:
      - {event: dispute, label: fraud, when: lost > 10}
      - {event: dispute, label: fine, when: "reason in ['mistake', 'test']"}
  training_export:
    destination_uri: exports
    partition_by: [date, label]
  training:
    task: classification
    algorithm: sgd
    target: fraud
  sinks:
    - {name: alerts, condition: prediction.score > 0.9 && country == 'nl'}
    - {name: everything, all: true}
"""


@pytest.fixture
def seed_text() -> str:
    return (PIPELINES / "anomaly-detection.yaml").read_text(encoding="utf-8")


@pytest.fixture
def whole_text() -> str:
    return WHOLE
