"""One micro-batch of records, from the source to the prediction log and the sinks.

Read in this order: ``plan`` (what batch N is, written to the ledger), ``score`` (read, validate, predict), ``staging``
(the scored rows, fixed once), ``log`` (quarantine, profiles and predictions, then the commit) and ``deliver`` (sinks).
Batches are scored before their turn by ``ahead`` (two, beside the one that is logged) and by what ``backfill`` runs in
other processes: ``foresee`` and ``draft``.
"""
