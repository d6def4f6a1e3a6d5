"""From the bytes of a model file to a model: verified first, then read by skops, never by pickle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from flywheel.errors import TamperedModelError
from flywheel.registry.version import RegisteredModel

# Compiled types that skops can't check by itself; each holds arrays of numbers and no code.
TRUSTED_TYPES: dict[str, list[str]] = {
    "hist_gradient_boosting": ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
    "random_forest": ["sklearn.tree._tree.Tree"],
    "isolation_forest": ["sklearn.tree._tree.Tree", "numpy.dtype"],
    "sgd": ["numpy.dtype"],
}
_STATE = "it was not loaded; a server that has the previous champion in memory keeps serving it"


@dataclass(frozen=True)
class LoadedModel:
    """A scikit-learn estimator and the version it is."""

    model: Any
    registered: RegisteredModel


def digest(data: bytes) -> str:
    """Return the SHA-256 of a model file, in hex."""
    return hashlib.sha256(data).hexdigest()


def load_verified(data: bytes, registered: RegisteredModel, file: str) -> LoadedModel:
    """Load a model file, if it is byte for byte the one that was registered.

    Parameters
    ----------
    data
        The whole file.
    file
        Its place, for the error.

    Raises
    ------
    TamperedModelError
        The hash differs, the file is not in the skops format, holds a type that is not trusted for the algorithm, or
        takes another number of inputs than its card says.
    """
    verify(data, registered.sha256, registered, file)
    model = _load_skops(data, registered, file)
    width = registered.card.encoding.width
    if model.n_features_in_ != width:
        raise refusal(registered, file, f"it takes {model.n_features_in_} inputs, its card says {width}")
    return LoadedModel(model, registered)


def verify(data: bytes, sha256: str, registered: RegisteredModel, file: str) -> None:
    """Raise TamperedModelError unless a file of a version has the hash that was registered."""
    found = digest(data)
    if found != sha256:
        raise refusal(registered, file, f"its SHA-256 is {found}, registered was {sha256}")


def _load_skops(data: bytes, registered: RegisteredModel, file: str) -> Any:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.loads(data, trusted=TRUSTED_TYPES.get(registered.card.algorithm, []))
    except UntrustedTypesFoundException as error:
        raise refusal(registered, file, f"it holds types that are not trusted: {error}") from error
    except Exception as error:  # a forged file can make skops raise anything
        raise refusal(registered, file, f"it is not a skops file ({error})") from error


def refusal(registered: RegisteredModel, file: str, why: str) -> TamperedModelError:
    """Build the error for a model file that must not be used."""
    return TamperedModelError(
        f"refused the file of {registered}, {file}: {why}",
        state=_STATE,
        next_step=f"restore the file from a backup, or promote another version of {registered.model_id}",
    )
