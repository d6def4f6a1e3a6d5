"""Feedback becomes labels: ``ingest`` reads events and applies the label rules, ``join`` finds their predictions."""
