"""The environments of peers that can't share ours, each made once under .flywheel/bench."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[3] / ".flywheel" / "bench"


@dataclass(frozen=True, slots=True)
class Peer:
    """``packages`` are exact: another version is another result."""

    name: str
    packages: tuple[str, ...]

    def python(self) -> str:
        """The interpreter of its environment, which is made where it is not there as asked for."""
        folder = FOLDER / self.name
        stamp, python = folder / "packages.json", folder / "bin" / "python"
        if not stamp.exists() or json.loads(stamp.read_text()) != list(self.packages):
            print(f"making the environment of {self.name}", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *self.packages], check=True)
            stamp.write_text(json.dumps(list(self.packages)))
        return str(python)
