"""Runs in a peer's environment: drift of every column of one file against another's, as its documentation does."""

from __future__ import annotations


def evidently(reference: str, window: str):
    """``DataDriftPreset`` with its defaults."""
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    def call() -> object:
        report = Report([DataDriftPreset()]).run(pd.read_parquet(window), pd.read_parquet(reference)).dict()
        return [metric["value"] for metric in report["metrics"]][:1]

    return call


def nannyml(reference: str, window: str):
    """``UnivariateDriftCalculator`` with its defaults, the window as one chunk; fitting is part of it."""
    import nannyml as nml
    import pandas as pd

    def call() -> object:
        known = pd.read_parquet(reference)
        calculator = nml.UnivariateDriftCalculator(column_names=list(known.columns), chunk_size=len(known))
        result = calculator.fit(known).calculate(pd.read_parquet(window))
        return int(result.filter(period="analysis").to_df().shape[0])

    return call
