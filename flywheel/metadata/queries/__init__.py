"""What the reading commands ask of the metadata database: one small function a question, a frozen dataclass an answer.

``pipelines`` (what was applied), ``health``, ``stats`` (predictions, feedback, training), ``drift_checks``, ``models``
and ``reviews``. The names of the dataclasses' fields are the keys of ``--json``.
"""
