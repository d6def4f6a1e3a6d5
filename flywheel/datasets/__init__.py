"""Data to try Flywheel on: real flights with their weather, and generated service metrics with incidents.

``flights`` is the demo's; ``service_metrics`` feeds the bundled ``anomaly-detection`` pipeline. Both write folders of
files that a ``files`` source reads, with the same bytes on every run.
"""
