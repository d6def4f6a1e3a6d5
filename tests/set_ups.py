"""Which process of pytest-xdist gets which file of tests: those of one set-up stay together, the long ones come first.

A Prefect server, or PostgreSQL and S3 with a trained pipeline on them, take a process ten to thirty seconds; with files
given to whoever is free, each of the processes would pay for all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePath
from typing import Any

from xdist.scheduler import LoadFileScheduling

# By folder of tests/, what its files share; others share nothing.
_SET_UPS = {
    "flows": "Prefect server",
    "pipelines": "Prefect server",
    "servers": "PostgreSQL and S3",
    "chaos": "PostgreSQL and S3",
}
# Files that take more than twenty seconds: one that began last would be waited for alone.
_LONG = {
    "test_anomaly_pipeline.py",
    "test_backfill.py",
    "test_docs_walkthrough.py",
    "test_drift_actions.py",
    "test_join_by_definition.py",
    "test_killed_runs.py",
    "test_kills.py",
    "test_live_stack.py",
    "test_model_server.py",
    "test_on_dask.py",
    "test_rescore.py",
    "test_runs_on_servers.py",
    "test_speed_batch.py",
    "test_speed_export.py",
    "test_stores_s3.py",
}


# Another process that began with a set-up for so few files would be done later than the one that has it.
_FEW_FILES = 12


class BySetUp(LoadFileScheduling):  # type: ignore[misc]
    """As ``--dist loadfile``; a process goes on with the set-ups that it has for as long as there are files of them.

    Then it takes one that no process has, or files that need none; in the end it helps another with many files left.
    """

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        self._begun: defaultdict[Any, set[str]] = defaultdict(set)

    def _assign_work_unit(self, node: Any) -> None:
        left = Counter(map(set_up_of, self.workqueue))
        others = set().union(*(begun for who, begun in self._begun.items() if who is not node))

        def rank(set_up: str) -> int:
            if set_up in self._begun[node]:
                return 0
            return 1 if set_up not in others else 2 if set_up == "" else 3 if left[set_up] > _FEW_FILES else 4

        file = min(self.workqueue, key=lambda file: (rank(set_up_of(file)), is_short(file)))
        if rank(set_up_of(file)) == 4:
            node.shutdown()
            return
        self._begun[node].add(set_up_of(file))
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)


def set_up_of(file: str) -> str:
    return _SET_UPS.get(PurePath(file).parent.name, "")


def is_short(file: str) -> bool:
    return PurePath(file).name not in _LONG
