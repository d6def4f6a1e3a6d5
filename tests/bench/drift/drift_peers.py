"""The peers: each in an environment of its own, which is made once, and run on the same rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

FOLDER = Path(__file__).parents[3] / ".flywheel" / "bench"
_QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Peer:
    """``packages`` are exact: another version is another result."""

    name: str
    packages: tuple[str, ...]

    @property
    def _python(self) -> Path:
        return FOLDER / self.name / "bin" / "python"

    def prepare(self) -> None:
        """Make the environment where it is not there as asked for."""
        stamp = FOLDER / self.name / "packages.json"
        if stamp.exists() and json.loads(stamp.read_text()) == list(self.packages):
            return
        subprocess.run([sys.executable, "-m", "venv", FOLDER / self.name], check=True)
        subprocess.run(
            [self._python, "-m", "pip", "install", "--quiet", *self.packages], check=True, env=_environment()
        )
        stamp.write_text(json.dumps(list(self.packages)))

    def scores(self, folder: Path) -> pl.DataFrame:
        """Per stream, check and column: score and default alarm for the Parquet files in the folder (``write``)."""
        script = Path(__file__).with_name(f"peer_{self.name}.py")
        ran = subprocess.run([self._python, script, folder], env=_environment(), capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"{self.name} failed on {folder}:\n{ran.stderr[-2000:]}")
        return pl.read_parquet(folder / f"{self.name}.parquet", columns=["stream", "check", "column", "score", "alarm"])


PEERS = (
    Peer("evidently", ("evidently==0.7.23", "pandas==2.3.3", "pyarrow==26.0.1", "scipy==1.17.1", "numpy==2.4.6")),
    Peer("nannyml", ("nannyml==0.13.1", "statsmodels==0.15.0", "pandas==3.1.1", "pyarrow==26.0.1", "scipy==1.17.1")),
)


def write(folder: Path, reference: pl.DataFrame, windows: pl.DataFrame, columns: Mapping[str, str]) -> None:
    """What the peers read: rows with ``stream`` and ``check``, and which feature each column of windows stands for."""
    folder.mkdir(parents=True, exist_ok=True)
    reference.write_parquet(folder / "reference.parquet", compression="lz4")
    windows.write_parquet(folder / "windows.parquet", compression="lz4")
    (folder / "columns.json").write_text(json.dumps(dict(columns)))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return kept | _QUIET
