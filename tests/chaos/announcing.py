"""Checks for drift, in a process of its own, while the server that its event should go to is dead.

``python announcing.py PICKLED_PARCELS AS_OF``
"""

from __future__ import annotations

import pickle
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))
sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

import plain
import pytest

import tasks.drift
import tasks.events
from flows.check_drift import check_drift


def main() -> None:
    parcels = pickle.loads(Path(sys.argv[1]).read_bytes())
    with plain.without_prefect(parcels), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.drift, "emit", tasks.events.emit)
        print(check_drift.fn("parcels", as_of=datetime.fromisoformat(sys.argv[2])).check_id)


if __name__ == "__main__":
    main()
