"""What line 9 reads of a Prefect server's database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from speed_flights import FULL, lines_of, spent_in


def test_time_outside_of_the_steps_is_orchestration(tmp_path: Path) -> None:
    database = tmp_path / "prefect.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(
            """
            CREATE TABLE flow (id INTEGER, name TEXT);
            CREATE TABLE flow_run (flow_id INTEGER, start_time TEXT, end_time TEXT);
            CREATE TABLE task_run (name TEXT, start_time TEXT, end_time TEXT);
            INSERT INTO flow VALUES (1, 'infer');
            INSERT INTO flow_run VALUES (1, '2026-01-01 00:00:00', '2026-01-01 00:00:10'),
                (1, '2026-01-01 00:01:00', '2026-01-01 00:01:10'), (1, '2026-01-01 00:02:00', NULL);
            INSERT INTO task_run VALUES ('score batches-0ab', '2026-01-01 00:00:01', '2026-01-01 00:00:07'),
                ('score batches-f7c', '2026-01-01 00:01:01', '2026-01-01 00:01:09');
            """
        )
    spent = spent_in(database, whole=40.0)
    assert spent.steps == {"score batches": pytest.approx(14, abs=0.01)}
    assert spent.orchestration == pytest.approx(6, abs=0.01)
    whole, orchestration = lines_of(spent, FULL)
    assert whole.beside == "runs: infer 20 s"
    assert orchestration.figure == pytest.approx(15, abs=0.1)
