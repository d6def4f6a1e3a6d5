"""The scikit-learn estimator that a manifest's task and algorithm stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flywheel.errors import ManifestError, did_you_mean
from flywheel.manifest.training import TrainingConfig

# Losses of the linear classifier that give probabilities.
_PROBABLE_LOSSES = ("log_loss", "modified_huber")
# The pipeline's own step that takes the manifest's parameters and the weights.
LINEAR_STEP = "model"


def build_estimator(training: TrainingConfig) -> Any:
    """Return the unfitted estimator with the manifest's parameters and its fixed random state.

    Raises
    ------
    ManifestError
        A parameter that the estimator does not have, or one that Flywheel sets itself.
    """
    estimator = _constructor(training)()
    _check_parameters(training, estimator.get_params())
    estimator.set_params(**training.parameters, random_state=training.random_state)
    return _scaled(estimator) if training.algorithm == "sgd" else estimator


def _constructor(training: TrainingConfig) -> Callable[[], Any]:
    from sklearn import ensemble, linear_model

    regression = training.task == "regression"
    if training.algorithm == "isolation_forest":
        return ensemble.IsolationForest  # type: ignore[no-any-return]
    if training.algorithm == "random_forest":
        return ensemble.RandomForestRegressor if regression else ensemble.RandomForestClassifier  # type: ignore[no-any-return]
    if training.algorithm == "sgd":
        return linear_model.SGDRegressor if regression else lambda: linear_model.SGDClassifier(loss="log_loss")
    return ensemble.HistGradientBoostingRegressor if regression else ensemble.HistGradientBoostingClassifier  # type: ignore[no-any-return]


def _check_parameters(training: TrainingConfig, known: Iterable[str]) -> None:
    names = sorted(set(known) - {"random_state"})
    for name in training.parameters:
        if name == "random_state":
            raise _wrong(training, "random_state", "is a field of training, not one of its parameters")
        if name not in names:
            listing = ", ".join(names)
            raise _wrong(training, name, f"is no parameter of it{did_you_mean(name, names)}; there is: {listing}")
    loss = training.parameters.get("loss", "log_loss")
    if training.algorithm == "sgd" and training.task == "classification" and loss not in _PROBABLE_LOSSES:
        raise _wrong(training, "loss", f"{loss!r} gives no probabilities; allowed: {', '.join(_PROBABLE_LOSSES)}")


def _wrong(training: TrainingConfig, name: str, why: str) -> ManifestError:
    return ManifestError(
        f"training.parameters.{name} ({training.algorithm}): {why}",
        state="nothing was trained",
        next_step="correct the manifest, then flywheel apply -f",
    )


def _scaled(estimator: Any) -> Any:
    """A linear model needs every value there, and all columns on one scale."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    return Pipeline([("impute", SimpleImputer()), ("scale", StandardScaler()), (LINEAR_STEP, estimator)])
