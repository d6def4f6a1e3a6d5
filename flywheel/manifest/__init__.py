"""The manifest: YAML that says everything about a pipeline, read into models that hold only what is right.

Read in this order:

- ``pipeline`` (the whole), ``features``, ``inference``, ``loop`` and ``documents`` (its parts), ``fields`` and
  ``jsonpath`` (the values in them);
- ``cel`` (conditions), ``cel_compile``, ``cel_operand`` and ``cel_functions`` (how they become Polars expressions);
- ``checks`` and ``conditions`` (what must hold between parts);
- ``load`` and ``bundle`` (from files to documents), ``yaml_text`` (text with lines), ``problems``, ``locate``,
  ``explain`` and ``repair`` (every error at once, in a manifest's words);
- ``schema`` (the columns that follow), ``graph``, ``graph_text`` and ``draw`` (the picture).
"""
