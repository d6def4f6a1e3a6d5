"""The command line: ``flywheel``.

One module a group of commands, each a thin layer: it opens the workspace (``session``), asks one question
(``flywheel.metadata.queries``) or calls one function, and prints the answer (``output``). What needs Prefect is reached
through ``plugins``. Heavy imports are inside the commands, so that ``flywheel --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from flywheel.cli.app import run


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed or unhealthy, 2 a usage error or a bad manifest."""
    run(arguments)
