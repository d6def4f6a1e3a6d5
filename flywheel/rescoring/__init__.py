"""Scoring again what a fallback answered, beside what was served.

Read in this order: ``waiting`` (which batches have such rows), ``rows`` (those rows, from the log and the quarantine),
``target`` (which model is asked), ``gate`` (without harm to new records), ``rescore`` (asks, and appends what it says).
"""
