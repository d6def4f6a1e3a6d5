"""The models that are loaded: each model's champion, and other versions as they are asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from flywheel.errors import NotFoundError, not_found
from flywheel.registry.store import Registry
from flywheel.registry.version import RegisteredModel
from flywheel.serving.scorers import ServedModel, load_served

_log = logging.getLogger("flywheel.serving")
_RETRY_SECONDS = 30.0


@dataclass(frozen=True)
class Refused:
    """A champion that could not be loaded, and until when that is not tried again."""

    version: int
    error: Exception
    until: float


class Models:
    """Loads versions from the registry and keeps them.

    The champions are a dictionary that is replaced as a whole: a request takes its model from the one it sees and is
    answered by that model, whatever is promoted meanwhile.

    Parameters
    ----------
    capacity
        Versions kept beside the champions; the least recently used one goes first.
    """

    def __init__(self, registry: Registry, capacity: int = 8) -> None:
        self.registry = registry
        self._capacity = capacity
        self._champions: dict[str, ServedModel] = {}
        self._others: OrderedDict[tuple[str, int], ServedModel] = OrderedDict()
        self._refused: dict[str, Refused] = {}
        self._unloaded: frozenset[str] = frozenset()
        self._loading = threading.RLock()
        self._using = threading.Lock()

    def get(self, model_id: str, version: str = "") -> ServedModel:
        """Return the champion (``""``) or the version asked for, loading it if need be.

        Raises
        ------
        NotFoundError
            No such model or version, no champion, or the model was unloaded.
        TamperedModelError
            Its file was refused.
        """
        if model_id in self._unloaded:
            raise NotFoundError(f"model {model_id!r} is unloaded", next_step="RepositoryModelLoad")
        champion = self._champions.get(model_id) or self._late_champion(model_id, version)
        if champion is not None and version in ("", str(champion.registered.version)):
            return champion
        return self._other(model_id, _number(model_id, version, self.registry))

    def refresh(self) -> None:
        """Load the champions that changed since the last call; one that can't be loaded leaves the old one serving."""
        with self._loading:
            current = self.registry.champions()
            wanted = {name: champion for name, champion in current.items() if name not in self._unloaded}
            champions = {name: loaded for name, loaded in self._champions.items() if name in wanted}
            for name, registered in wanted.items():
                loaded = champions.get(name)
                if loaded is None or loaded.registered.version != registered.version:
                    champions |= self._promoted(registered)
            self._champions = champions

    def load(self, model_id: str) -> ServedModel:
        """Load a model's champion now, also after ``unload`` and after its file was refused."""
        with self._loading:
            self._unloaded -= {model_id}
            self._refused.pop(model_id, None)
            self.refresh()
            if model_id in self._refused:
                raise self._refused[model_id].error
            return self.get(model_id)

    def unload(self, model_id: str) -> None:
        """Stop serving a model until ``load``; requests already running are answered."""
        with self._loading, self._using:
            if model_id not in self._champions and model_id not in self.registry.model_ids():
                raise not_found("model", model_id, self.registry.model_ids())
            self._unloaded |= {model_id}
            self._champions = {name: loaded for name, loaded in self._champions.items() if name != model_id}
            for key in [key for key in self._others if key[0] == model_id]:
                del self._others[key]

    def is_loaded(self, model_id: str, version: int) -> bool:
        champion = self._champions.get(model_id)
        is_champion = champion is not None and champion.registered.version == version
        return is_champion or (model_id, version) in self._others

    def is_unloaded(self, model_id: str) -> bool:
        return model_id in self._unloaded

    def _promoted(self, registered: RegisteredModel) -> dict[str, ServedModel]:
        """Load a new champion and keep the one before it for the batches that are pinned to it."""
        name = registered.model_id
        refused = self._refused.get(name)
        if refused and refused.version == registered.version and time.monotonic() < refused.until:
            return {}
        try:
            loaded = self._other(name, registered.version)
        except Exception as error:  # one model's file must not keep the others from changing
            _log.error("can't load %s: %s", registered, error)
            self._refused[name] = Refused(registered.version, error, time.monotonic() + _RETRY_SECONDS)
            return {}
        self._refused.pop(name, None)
        if name in self._champions:
            self._keep(self._champions[name])
        _log.info("serving %s", registered)
        return {name: loaded}

    def _late_champion(self, model_id: str, version: str) -> ServedModel | None:
        """The champion of a model that the last ``refresh`` did not know yet."""
        if version:
            return None
        self.refresh()
        if model_id in self._champions:
            return self._champions[model_id]
        if model_id in self._refused:
            raise self._refused[model_id].error
        if self.registry.versions(model_id):
            raise NotFoundError(
                f"model {model_id!r} has no champion yet",
                next_step=f"flywheel model list, then promote one of {model_id}",
            )
        raise not_found("model", model_id, self.registry.model_ids())

    def _other(self, model_id: str, version: int) -> ServedModel:
        key = (model_id, version)
        with self._using:
            if key in self._others:
                self._others.move_to_end(key)
                return self._others[key]
        with self._loading:
            loaded = self._others.get(key) or load_served(self.registry, model_id, version)
            self._keep(loaded)
            return loaded

    def _keep(self, loaded: ServedModel) -> None:
        with self._using:
            self._others[loaded.registered.model_id, loaded.registered.version] = loaded
            self._others.move_to_end((loaded.registered.model_id, loaded.registered.version))
            while len(self._others) > self._capacity:
                self._others.popitem(last=False)


def _number(model_id: str, version: str, registry: Registry) -> int:
    if not version.isdecimal():
        known = [str(each.version) for each in registry.versions(model_id)]
        raise not_found(f"version of {model_id}", version, known)
    return int(version)
