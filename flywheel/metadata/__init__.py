"""The metadata database: ``schema`` (tables), ``database`` (connections and migrations), ``ledger`` (batches)."""
