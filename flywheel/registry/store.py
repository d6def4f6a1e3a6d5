"""The registry itself: one row a version, files beside it, and a champion that changes in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flywheel.errors import NotFoundError, PromotionConflictError, not_found
from flywheel.lake.storage import StorageMap
from flywheel.metadata.database import Database
from flywheel.metadata.schema import ModelEvent, ModelVersion
from flywheel.registry.card import ModelCard
from flywheel.registry.loading import LoadedModel, digest, load_verified, refusal, verify
from flywheel.registry.version import HistoryEntry, RegisteredModel, Status

_REGISTER_ATTEMPTS = 20


class Registry:
    """Model versions of one workspace.

    Parameters
    ----------
    database
        Holds the versions and their history.
    storage, root
        Where the model files are: ``root/<model_id>/<sha256>.skops``, and ``.onnx`` beside it where there is one.
    """

    def __init__(self, database: Database, storage: StorageMap, root: str) -> None:
        self.database = database
        self.storage = storage
        self.root = root.rstrip("/")
        self._cards: dict[tuple[str, int], ModelCard] = {}

    def register(
        self,
        model_id: str,
        pipeline: str,
        training_key: str,
        model_bytes: bytes,
        card: ModelCard,
        metrics: Mapping[str, float],
        as_of: datetime,
        onnx: bytes | None = None,
    ) -> RegisteredModel:
        """Store a trained model as the next version, a candidate; the same training key gives the same version.

        The files are named by their content and written before the row, so that a row never points to nothing.

        Parameters
        ----------
        onnx
            The file that ``card.onnx`` is about. A card that comes without it was another model's, and loses it.
        """
        known = self._by_training_key(model_id, training_key)
        if known is not None:
            return known
        sha256 = digest(model_bytes)
        uri = f"{model_id}/{sha256}.skops"
        self.storage.write(f"{self.root}/{uri}", model_bytes)
        if onnx is not None:
            self.storage.write(f"{self.root}/{onnx_uri(model_id, digest(onnx))}", onnx)
        elif card.onnx is not None:
            card = card.model_copy(update={"onnx": None})
        row = {
            "pipeline": pipeline,
            "status": "candidate",
            "uri": uri,
            "sha256": sha256,
            "card": card.model_dump(mode="json"),
            "metrics": dict(metrics),
            "created_at": datetime.now(UTC),
        }
        for _ in range(_REGISTER_ATTEMPTS):
            try:
                return self._insert(model_id, training_key, row, as_of)
            except IntegrityError:  # another process took this version number, or registered this training
                known = self._by_training_key(model_id, training_key)
                if known is not None:
                    return known
        raise PromotionConflictError(
            f"no version number of {model_id!r} was free in {_REGISTER_ATTEMPTS} attempts",
            state=f"the model file is at {self.root}/{uri}; no version was registered",
            next_step="run the same training again",
        )

    def get(self, model_id: str, version: int) -> RegisteredModel:
        """Return a version; NotFoundError names those there are."""
        with self.database.session() as session:
            row = session.get(ModelVersion, (model_id, version))
        if row is None:
            raise self._unknown(model_id, version)
        return RegisteredModel.of(row)

    def card(self, model_id: str, version: int) -> ModelCard:
        """Return the card of a version; it never changes, so it is looked up once."""
        if (model_id, version) not in self._cards:
            self._cards[model_id, version] = self.get(model_id, version).card
        return self._cards[model_id, version]

    def champion(self, model_id: str) -> RegisteredModel | None:
        """Return the version in production, or None while there is none."""
        return self.champions().get(model_id)

    def champions(self) -> dict[str, RegisteredModel]:
        """Return every model's version in production, by model id."""
        query = select(ModelVersion).where(ModelVersion.status == "champion")
        with self.database.session() as session:
            return {row.model_id: RegisteredModel.of(row) for row in session.scalars(query)}

    def versions(self, model_id: str) -> list[RegisteredModel]:
        """Return all versions of a model, oldest first; none for an unknown model."""
        query = select(ModelVersion).where(ModelVersion.model_id == model_id).order_by(ModelVersion.version)
        with self.database.session() as session:
            return [RegisteredModel.of(row) for row in session.scalars(query)]

    def model_ids(self) -> list[str]:
        """Return the models that have a version, by name."""
        query = select(ModelVersion.model_id).distinct().order_by(ModelVersion.model_id)
        with self.database.session() as session:
            return list(session.scalars(query))

    def history(self, model_id: str) -> list[HistoryEntry]:
        """Return what happened to a model's versions, oldest first."""
        query = select(ModelEvent).where(ModelEvent.model_id == model_id).order_by(ModelEvent.id)
        with self.database.session() as session:
            return [HistoryEntry.of(row) for row in session.scalars(query)]

    def promote(
        self, model_id: str, version: int, expected_champion: int | None, reason: str, as_of: datetime
    ) -> RegisteredModel:
        """Make a version the champion and archive the one before it, in one transaction.

        Parameters
        ----------
        expected_champion
            The champion that the decision was made against, None for the first one. When it is another by now,
            PromotionConflictError is raised and nothing changes. Promoting the champion again changes nothing.
        """
        self.get(model_id, version)
        with self.database.session() as session:
            rows = _locked_versions(session, model_id)
            current = next((row for row in rows.values() if row.status == "champion"), None)
            if current is rows[version]:
                return RegisteredModel.of(current)
            if (current.version if current else None) != expected_champion:
                raise _conflict(model_id, version, expected_champion, current)
            if current is not None:
                _move(session, current, "archived", f"replaced by version {version}", as_of)
            _move(session, rows[version], "champion", reason, as_of, {"previous": expected_champion})
            return RegisteredModel.of(rows[version])

    def reject(self, model_id: str, version: int, reason: str, as_of: datetime) -> RegisteredModel:
        """Mark a candidate as not good enough; rejecting it again changes nothing."""
        self.get(model_id, version)
        with self.database.session() as session:
            row = _locked_versions(session, model_id)[version]
            if row.status not in ("candidate", "rejected"):
                raise PromotionConflictError(
                    f"{model_id} version {version} can't be rejected: it is {row.status}, not a candidate",
                    state="nothing changed",
                    next_step=f"flywheel model history {model_id}",
                )
            if row.status == "candidate":
                _move(session, row, "rejected", reason, as_of)
            return RegisteredModel.of(row)

    def load(self, model_id: str, version: int) -> LoadedModel:
        """Load a version, after its file was found to be the one that was registered; else TamperedModelError."""
        registered = self.get(model_id, version)
        file = f"{self.root}/{registered.uri}"
        try:
            data = self.storage.read_bytes(file)
        except FileNotFoundError as error:
            raise refusal(registered, file, "it is gone") from error
        return load_verified(data, registered, file)

    def read_onnx(self, registered: RegisteredModel) -> bytes | None:
        """Return a version's ONNX file, None where it has none or it is gone; TamperedModelError if it is another."""
        if registered.card.onnx is None:
            return None
        file = f"{self.root}/{onnx_uri(registered.model_id, registered.card.onnx.sha256)}"
        try:
            data = self.storage.read_bytes(file)
        except FileNotFoundError:
            return None
        verify(data, registered.card.onnx.sha256, registered, file)
        return data

    def _by_training_key(self, model_id: str, training_key: str) -> RegisteredModel | None:
        query = select(ModelVersion).filter_by(model_id=model_id, training_key=training_key)
        with self.database.session() as session:
            row = session.scalars(query).one_or_none()
            return RegisteredModel.of(row) if row else None

    def _insert(self, model_id: str, training_key: str, row: dict[str, Any], as_of: datetime) -> RegisteredModel:
        newest = select(func.coalesce(func.max(ModelVersion.version), 0)).filter_by(model_id=model_id)
        with self.database.session() as session:
            version = session.scalars(newest).one() + 1
            stored = ModelVersion(model_id=model_id, version=version, training_key=training_key, **row)
            session.add(stored)
            session.flush()
            _record(session, stored, "registered", f"training {training_key}", as_of)
            if stored.metrics:
                _record(session, stored, "evaluated", "", as_of, stored.metrics)
            return RegisteredModel.of(stored)

    def _unknown(self, model_id: str, version: int) -> NotFoundError:
        known = [str(each.version) for each in self.versions(model_id)]
        if known:
            return not_found(f"version of {model_id}", str(version), known, next_step=f"flywheel model show {model_id}")
        return not_found("model", model_id, self.model_ids(), next_step="flywheel model list")


def onnx_uri(model_id: str, sha256: str) -> str:
    """Return where a model's ONNX file is, relative to the registry's root."""
    return f"{model_id}/{sha256}.onnx"


def _locked_versions(session: Session, model_id: str) -> dict[int, ModelVersion]:
    """Read a model's versions; no other transaction can move them before this one ends."""
    # SQLite has no FOR UPDATE and needs none: a session holds the write lock from its start.
    query = select(ModelVersion).filter_by(model_id=model_id).order_by(ModelVersion.version).with_for_update()
    return {row.version: row for row in session.scalars(query)}


def _move(
    session: Session,
    row: ModelVersion,
    status: Status,
    reason: str,
    as_of: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    row.status = status
    _record(session, row, "promoted" if status == "champion" else status, reason, as_of, details)


def _record(
    session: Session,
    row: ModelVersion,
    event: str,
    reason: str,
    as_of: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    session.add(
        ModelEvent(
            model_id=row.model_id,
            version=row.version,
            event=event,
            reason=reason,
            details=dict(details or {}),
            as_of=as_of,
            recorded_at=datetime.now(UTC),
        )
    )


def _conflict(
    model_id: str, version: int, expected: int | None, current: ModelVersion | None
) -> PromotionConflictError:
    named = f"version {current.version}" if current else "none"
    return PromotionConflictError(
        f"did not promote {model_id} version {version}: it was compared with "
        f"{f'version {expected}' if expected else 'no champion'}, but the champion is {named} by now",
        state="nothing changed",
        next_step=f"flywheel model history {model_id}, then decide again",
    )
