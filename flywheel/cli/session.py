"""The workspace and its metadata database, opened for a command; what is wrong with either is said in plain words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from flywheel.metadata.database import Database
    from flywheel.workspace import Workspace

T = TypeVar("T")


def open_workspace() -> Workspace:
    """Return the workspace of the working directory."""
    from flywheel.workspace import Workspace

    return read_settings(Workspace)


def read_settings(kind: Callable[..., T], **given: object) -> T:
    """Read settings from ``given`` (what is not None), ``FLYWHEEL_*`` variables and flywheel.toml."""
    import tomllib

    from pydantic import ValidationError

    from flywheel.settings import CONFIG_FILE

    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise FlywheelError(f"{CONFIG_FILE} is not valid TOML: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise FlywheelError(
            f"the workspace's settings are not valid: {found}", next_step=f"correct {CONFIG_FILE} or FLYWHEEL_*"
        ) from error


def open_database(workspace: Workspace | None = None) -> Database:
    """Return the workspace's metadata database; FlywheelError where it is not there, or not this Flywheel's."""
    database = existing_database(workspace)
    database.require()
    return database


def existing_database(workspace: Workspace | None = None) -> Database:
    """Return the workspace's metadata database, whichever Flywheel made it."""
    database = (workspace or open_workspace()).database()
    file = database.url.database
    # Connecting would create the file, and a reading command leaves nothing behind.
    if database.url.get_backend_name() == "sqlite" and file and not Path(file).exists():
        raise FlywheelError(f"no Flywheel workspace here: {file} does not exist", next_step="flywheel init")
    return database
