"""From YAML files to documents: every error at once, each with its file, its line and its path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flywheel.errors import did_you_mean
from flywheel.manifest.bundle import KINDS, Bundle, Written, refuse
from flywheel.manifest.cel import APPLIED
from flywheel.manifest.documents import Document
from flywheel.manifest.explain import show
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.problems import Problem, path_text
from flywheel.manifest.repair import Diagnosis, diagnose, nearest
from flywheel.manifest.yaml_text import Node, YamlDocument, read_yaml

WITH_ENVIRONMENT = ("Source", "Sink", "Storage", "ModelServer")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def load(paths: Sequence[Path]) -> Bundle:
    """Read files, and the ``*.yaml`` and ``*.yml`` files of folders.

    Raises
    ------
    ManifestError
        With every problem of every file in ``problems``; nothing is returned for the files that are right.
    """
    return _read(paths).bundle()


def load_whole(paths: Sequence[Path]) -> Bundle:
    """Read files as ``load`` does, and check every pipeline with the documents beside it, before any is used.

    Raises
    ------
    ManifestError
        With every problem of every file, and every one between documents, in ``problems``.
    """
    reading = _read(paths)
    if not reading.is_missing_some:
        reading.problems += reading.guess().whole_problems()
    return reading.bundle()


def _read(paths: Sequence[Path]) -> _Reading:
    reading = _Reading()
    for path in paths:
        for file in _files(path, reading.problems):
            reading.add_file(file)
    return reading


def parse(text: str, file: str = "<text>") -> Bundle:
    """Read the documents of one YAML text; ``file`` is the name that problems bear.

    >>> parse("kind: Sink", "crm.yaml")
    Traceback (most recent call last):
    ...
    flywheel.errors.ManifestError: crm.yaml:1: apiVersion: is missing
    crm.yaml:1: metadata: is missing
    crm.yaml:1: spec: is missing
    """
    reading = _Reading()
    reading.add(text, file)
    return reading.bundle()


def resolve_pipeline(manifest_text: str, training_text: str | None = None) -> Pipeline:
    """Build the pipeline that was applied and stored as text, with the Training document stored beside it."""
    texts = [manifest_text] if training_text is None else [manifest_text, training_text]
    reading = _Reading(context=APPLIED)
    for text, file in zip(texts, ("<stored manifest>", "<stored training>"), strict=False):
        reading.add(text, file)
    bundle = reading.bundle()
    return bundle.pipeline(next(iter(bundle.pipelines)), APPLIED)


@dataclass
class _Reading:
    """Documents and problems, as they are found.

    ``guesses`` are what broken documents probably mean; ``is_missing_some`` says that others can't even be guessed, so
    that what seems to be missing may be in them. ``context``: of the models' validation.
    """

    context: str | None = None
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    guesses: dict[tuple[str, str], Document] = field(default_factory=dict)
    written: dict[tuple[str, str], Written] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_missing_some: bool = False

    def add_file(self, path: Path) -> None:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._add_unreadable(path, f"is not UTF-8 text: byte {error.start} can't be read")
        except OSError as error:
            self._add_unreadable(path, f"can't be read: {error.strerror}")
        else:
            self.add(text, str(path))

    def add(self, text: str, file: str) -> None:
        documents, problems = read_yaml(text, file)
        self.problems += problems
        self.is_missing_some |= not documents
        for document in documents:
            self._add_document(document, file)

    def bundle(self) -> Bundle:
        if self.problems:
            raise refuse(self.problems)
        return Bundle.of(self.documents, self.written)

    def guess(self) -> Bundle:
        """The documents with those that could be guessed, to be checked and not used."""
        return Bundle.of({**self.guesses, **self.documents}, self.written)

    def _add_document(self, yaml: YamlDocument, file: str) -> None:
        kind = _kind(yaml.root, file, self.problems)
        if kind is None:
            self.is_missing_some = True
            return
        model = KINDS[kind].model
        data = {**yaml.root.value, "kind": kind}
        if kind in WITH_ENVIRONMENT:
            data = _with_environment(data, (), yaml.root, file, self.problems)
        try:
            document = model.model_validate(data, context=self.context)
        except ValidationError as error:
            self._add_broken(kind, diagnose(error, model, data, yaml.root, file), Written(file, yaml.text, yaml.root))
            return
        key = (kind, document.metadata.name)
        if self.documents.get(key) == document:
            return  # files that are applied together or alone may each bring the server they share
        if key in self.written:
            first = self.written[key]
            if first.root.value == yaml.root.value:
                return
            message = f"is a second {kind} of this name; the first is in {first.file}, line {first.root.line}"
            self.problems.append(Problem(file, yaml.root.line, "metadata.name", key[1], message))
            return
        self.documents[key] = document
        self.written[key] = Written(file, yaml.text, yaml.root)

    def _add_broken(self, kind: str, diagnosis: Diagnosis, written: Written) -> None:
        self.problems += diagnosis.problems
        if not isinstance(diagnosis.meant, Document):
            self.is_missing_some = True
            return
        key = (kind, diagnosis.meant.metadata.name)
        self.guesses.setdefault(key, diagnosis.meant)
        self.written.setdefault(key, written)

    def _add_unreadable(self, path: Path, message: str) -> None:
        self.problems.append(Problem(str(path), 1, "", "", message))
        self.is_missing_some = True


def _kind(root: Node, file: str, problems: list[Problem]) -> str | None:
    if not isinstance(root.value, dict):
        problems.append(Problem(file, root.line, "", "", "is not a mapping; a document starts with `apiVersion:`"))
        return None
    kind = show(root.value.get("kind"))
    if kind not in KINDS:
        absent = "is missing" if root.value.get("kind") is None else "must be text"
        wrong = f"is not a kind{did_you_mean(kind, KINDS)}" if kind else absent
        problems.append(Problem(file, root.line_of(("kind",)), "kind", kind, f"{wrong}; there is: {', '.join(KINDS)}"))
    return nearest(kind, KINDS)


def _with_environment(value: Any, path: tuple[str | int, ...], root: Node, file: str, problems: list[Problem]) -> Any:
    """Fill in every ``${NAME}``; the text that is stored keeps the name, so that no secret is."""
    if isinstance(value, Mapping):
        return {key: _with_environment(each, (*path, key), root, file, problems) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_environment(each, (*path, i), root, file, problems) for i, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in _VARIABLE.findall(value):
        if name not in os.environ:
            message = f"names the environment variable {name}, which is not set"
            problems.append(Problem(file, root.line_of(path), path_text(path), "", message))
    return _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), value)


def _files(path: Path, problems: list[Problem]) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml") and file.is_file())
    if not files:
        problems.append(Problem(str(path), 1, "", "", "is a folder without *.yaml files"))
    return files
