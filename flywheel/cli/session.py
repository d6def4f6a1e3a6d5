"""The workspace and its metadata database, opened for a command; what is wrong with either is said in plain words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from flywheel.metadata.database import Database
    from flywheel.workspace import Workspace


def open_workspace() -> Workspace:
    """Return the workspace of the working directory."""
    import tomllib

    from pydantic import ValidationError

    from flywheel.workspace import CONFIG_FILE, Workspace

    try:
        return Workspace()
    except tomllib.TOMLDecodeError as error:
        raise FlywheelError(f"{CONFIG_FILE} is not valid TOML: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise FlywheelError(
            f"the workspace's settings are not valid: {found}", next_step=f"correct {CONFIG_FILE} or FLYWHEEL_*"
        ) from error


def open_database(workspace: Workspace | None = None) -> Database:
    """Return the workspace's metadata database; FlywheelError where ``flywheel init`` has not been run."""
    database = (workspace or open_workspace()).database()
    file = database.url.database
    # Connecting would create the file, and a reading command leaves nothing behind.
    if database.url.get_backend_name() == "sqlite" and file and not Path(file).exists():
        raise FlywheelError(f"no Flywheel workspace here: {file} does not exist", next_step="flywheel init")
    database.require()
    return database


def database_error(error: Exception) -> FlywheelError | None:
    """Return what a database's driver raised as one line, or None if it was something else."""
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy.exc import DBAPIError

    if not isinstance(error, DBAPIError):
        return None
    reason = str(error.orig).strip().splitlines()[0]
    return FlywheelError(
        f"the metadata database does not answer: {reason}",
        next_step="check FLYWHEEL_DATABASE_URL, run flywheel init if it is new, then try again",
    )
