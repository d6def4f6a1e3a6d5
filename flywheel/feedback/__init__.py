"""Feedback becomes labels: ``ingest`` reads events and applies the label rules, ``join`` finds their predictions
(``lookup``), judges each event (``classify``) and remembers what waits (``waiting``), ``absence`` labels what no event
came for. Of several labels, ``winning`` is the one that counts."""
