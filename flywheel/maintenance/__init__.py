"""What keeps a pipeline's lake quick and small while the loop runs.

Read in this order: ``retention`` (what is old enough to go, and what must stay), ``expire`` (whole partitions go),
``history`` (old drift checks go), ``compact`` (many small files become one, through ``rewrite``, which commits that),
``vacuum`` (files that no version needs, and the log behind a checkpoint), ``leftovers`` (what killed runs left beside
the tables).
"""
