"""The peers: each in an environment of its own, which is made once, and run on the same rows."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from peer_environments import EVIDENTLY, NANNYML, PeerEnvironment

_QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool that is run by its script in this folder, in an environment of its own."""

    environment: PeerEnvironment

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def packages(self) -> tuple[str, ...]:
        return self.environment.packages

    def scores(self, folder: Path) -> pl.DataFrame:
        """Per stream, check and column: score and default alarm for the Parquet files in the folder (``write``)."""
        script = Path(__file__).with_name(f"peer_{self.name}.py")
        ran = subprocess.run(
            [self.environment.python(), script, folder], env=_environment(), capture_output=True, text=True
        )
        if ran.returncode:
            raise RuntimeError(f"{self.name} failed on {folder}:\n{ran.stderr[-2000:]}")
        return pl.read_parquet(folder / f"{self.name}.parquet", columns=["stream", "check", "column", "score", "alarm"])


PEERS = (Peer(EVIDENTLY), Peer(NANNYML))


def write(folder: Path, reference: pl.DataFrame, windows: pl.DataFrame, columns: Mapping[str, str]) -> None:
    """What the peers read: rows with ``stream`` and ``check``, and which feature each column of windows stands for."""
    folder.mkdir(parents=True, exist_ok=True)
    reference.write_parquet(folder / "reference.parquet", compression="lz4")
    windows.write_parquet(folder / "windows.parquet", compression="lz4")
    (folder / "columns.json").write_text(json.dumps(dict(columns)))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return kept | _QUIET
