"""The migrations make the tables that the models describe, and can be run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from flywheel.errors import FlywheelError
from flywheel.metadata.database import Database
from flywheel.metadata.schema import Base


def test_migrations_and_models_agree(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/metadata.db")
    database.create()
    database.create()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "flywheel_migration"})
        assert compare_metadata(context, Base.metadata) == []
    database.engine.dispose()


def test_without_tables_the_error_says_what_to_type(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/metadata.db")
    with pytest.raises(FlywheelError, match="flywheel init"):
        database.require()
    database.engine.dispose()


def test_a_password_is_never_shown() -> None:
    assert "hush" not in repr(Database("postgresql+psycopg://me:hush@localhost/flywheel"))
