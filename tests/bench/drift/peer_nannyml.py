"""Runs in NannyML's own environment: UnivariateDriftCalculator with its defaults; a chunk is a window.

Jensen-Shannon distance for every column; alert above the mean of the reference's chunks plus three of their standard
deviations. The score is how many of those standard deviations a value lies above that mean, over three.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Read reference.parquet, windows.parquet and columns.json; write nannyml.parquet."""
    import pandas as pd

    columns = json.loads((folder / "columns.json").read_text())
    windows = dict(list(pd.read_parquet(folder / "windows.parquet").groupby("stream")))
    found = [
        part
        for stream, reference in pd.read_parquet(folder / "reference.parquet").groupby("stream")
        for part in _scores(stream, reference, windows[stream], columns)
    ]
    pd.concat(found).to_parquet(folder / "nannyml.parquet")


def _scores(stream, reference, windows, columns):
    import nannyml as nml
    import pandas as pd

    sizes = windows.groupby("check", sort=True).size()
    copies = pd.DataFrame({column: reference[feature].to_numpy() for column, feature in columns.items()})
    categories = [column for column in columns if not pd.api.types.is_numeric_dtype(copies[column])]
    calculator = nml.UnivariateDriftCalculator(
        column_names=list(columns), treat_as_categorical=categories, chunk_size=int(sizes.iloc[0])
    )
    result = calculator.fit(copies).calculate(windows.sort_values("check", kind="stable").reset_index(drop=True))
    table = result.filter(period="analysis").to_df()
    before = result.filter(period="reference").to_df()
    for column in columns:
        values = table[column]["jensen_shannon"]
        # NaN where nothing varies; such a column never alerts.
        mean = before[column]["jensen_shannon"]["value"].astype(float).mean()
        above = values["upper_threshold"].astype(float) - mean
        yield pd.DataFrame(
            {
                "stream": stream,
                "check": sizes.index,
                "column": column,
                "score": ((values["value"].astype(float) - mean) / above).to_numpy(),
                "alarm": values["alert"].astype(bool).to_numpy(),
            }
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
