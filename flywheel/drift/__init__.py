"""Drift: has what the model sees and says moved away from its baseline?

Read in this order: ``measured`` (what is compared), ``bins`` and ``baseline`` (the frozen reference), ``guide_table``
and ``counting`` (which bucket a value is in), ``profile`` (one batch as counts of these), ``measures`` (how large a
change is, one definition a file), ``evidence`` (how sure it is), ``finding`` and ``check`` (the decision about a
window), ``picture`` (the same as histograms).
``docs/drift-measures.md`` has every definition on one page.
"""
