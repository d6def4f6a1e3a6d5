"""The manifest: one YAML file that says everything about a pipeline.

Read in this order: ``pipeline`` (the whole), ``features``, ``inference``, ``loop`` and ``documents`` (its parts),
``fields``, ``jsonpath`` and ``cel`` (the values in them), ``checks`` (what must hold between parts), ``load`` (from
files to documents, with every error and its line), ``schema`` (the columns that follow), ``graph`` and ``draw``.
"""
