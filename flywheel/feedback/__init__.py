"""Feedback becomes labels: ``ingest`` reads events and applies the label rules, ``join`` finds their predictions,
``absence`` labels what no event came for."""
