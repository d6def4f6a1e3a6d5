"""The environments of peers that can't share ours, each made once under .flywheel/bench."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".flywheel" / "bench"


@dataclass(frozen=True, slots=True)
class PeerEnvironment:
    """``packages`` are exact: another version is another result."""

    name: str
    packages: tuple[str, ...]

    def python(self) -> str:
        """Its interpreter; it is made where it is not there as asked for."""
        folder = FOLDER / self.name
        stamp, python = folder / "packages.json", folder / "bin" / "python"
        if not stamp.exists() or json.loads(stamp.read_text()) != list(self.packages):
            print(f"making the environment of {self.name}", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *self.packages], check=True)
            stamp.write_text(json.dumps(list(self.packages)))
        return str(python)


EVIDENTLY = PeerEnvironment(
    "evidently", ("evidently==0.7.23", "pandas==2.3.3", "pyarrow==26.0.1", "scipy==1.17.1", "numpy==2.4.6")
)
NANNYML = PeerEnvironment(
    "nannyml", ("nannyml==0.13.1", "statsmodels==0.15.0", "pandas==3.1.1", "pyarrow==26.0.1", "scipy==1.17.1")
)
