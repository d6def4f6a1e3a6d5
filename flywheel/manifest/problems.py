"""A problem in a manifest: where it is, what is there, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

Path = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    >>> print(Problem("m.yaml", 7, "spec.stages[0].type", "ml", "unknown; allowed: ml-inference"))
    m.yaml:7: spec.stages[0].type: 'ml' unknown; allowed: ml-inference
    """

    file: str
    line: int
    path: str
    value: str
    message: str

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        value = f"{self.value!r} " if self.value else ""
        return f"{self.file}:{self.line}: {path}{value}{self.message}"


@dataclass(frozen=True)
class Finding:
    """What is wrong between parts of one document: the path of the part to look at, and what to do."""

    path: Path
    message: str


class PartsError(ValueError):
    """The parts of a document do not fit together; ``findings`` says where, ``document`` is what they are parts of."""

    def __init__(self, findings: Sequence[Finding], document: BaseModel | None = None) -> None:
        self.findings = tuple(findings)
        self.document = document
        super().__init__("; ".join(f"{path_text(finding.path)}: {finding.message}" for finding in findings))


def path_text(path: Iterable[str | int]) -> str:
    """Write a path as a person would.

    >>> path_text(("spec", "stages", 0, "config"))
    'spec.stages[0].config'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
