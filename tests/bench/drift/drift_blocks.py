"""Blocks of streams: the same raw rows for every tool, and what each says of them with one column changed or none."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import drift_ours
import drift_peers
import drift_scipy
import numpy as np
import polars as pl
from drift_shifts import SHIFTS, Shift
from drift_streams import REFERENCE_ROWS, WINDOW_ROWS, Feature, draw_rows

OURS = "Flywheel"
SCIPY, BONFERRONI = "scipy KS, p < 0.05", "scipy KS, Bonferroni"
EVIDENTLY, EVIDENTLY_DATASET = "Evidently, any column", "Evidently, half the columns"
NANNYML = "NannyML"


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of some streams. ``columns``: which feature each column of ``windows`` stands for."""

    reference: pl.DataFrame
    windows: pl.DataFrame
    columns: Mapping[str, str]


def simulate(
    seed: int,
    streams: Sequence[int],
    features: Sequence[Feature],
    checks: int,
    window_rows: int = WINDOW_ROWS,
    shifts: Sequence[Shift] = (),
) -> Block:
    """Draw a block; a stream depends on its number and the seed alone, and shifts change rows that are drawn anyway."""
    references, windows = [], []
    check = np.repeat(np.arange(checks), window_rows)
    for stream in streams:
        rng = np.random.default_rng([seed, stream])
        references.append(draw_rows(rng, REFERENCE_ROWS, features).with_columns(stream=pl.lit(stream)))
        rows = draw_rows(rng, checks * window_rows, features)
        changed = [
            shift.change(rows[shift.feature], check.astype(float), rng).alias(shift.name)
            for shift in shifts
            if shift.change and shift.feature
        ]
        windows.append(rows.with_columns(*changed, stream=pl.lit(stream), check=pl.Series(check)))
    columns = {feature.name: feature.name for feature in features}
    columns |= {shift.name: shift.feature for shift in shifts if shift.feature}
    return Block(pl.concat(references), pl.concat(windows), columns)


def run_tools(block: Block, folder: Path, peers: Sequence[drift_peers.Peer] = drift_peers.PEERS) -> pl.DataFrame:
    """Per tool, stream, check and shift (``none``: without): score and alarm at the tool's default."""
    ours = drift_ours.shift_scores(block.reference, block.windows, block.columns)
    found = [_named(OURS, _with_label_shift(ours, block.columns))]
    by_column = drift_scipy.column_scores(block.reference, block.windows, block.columns)
    features = sum(column == feature for column, feature in block.columns.items())
    corrected = -np.log10(drift_scipy.LEVEL / features)
    found.append(_named(SCIPY, by_shift(by_column, block.columns)))
    found.append(_named(BONFERRONI, by_shift(by_column.with_columns(alarm=pl.col("score") > corrected), block.columns)))
    if peers:
        drift_peers.write(folder, block.reference, block.windows, block.columns)
    for peer in peers:
        scores = peer.scores(folder)
        found.append(_named({"evidently": EVIDENTLY, "nannyml": NANNYML}[peer.name], by_shift(scores, block.columns)))
        if peer.name == "evidently":
            found.append(_named(EVIDENTLY_DATASET, by_shift(scores, block.columns, drifted_share=0.5)))
    shutil.rmtree(folder, ignore_errors=True)
    return pl.concat(found)


def by_shift(scores: pl.DataFrame, columns: Mapping[str, str], drifted_share: float = 0.0) -> pl.DataFrame:
    """From columns to checks: the largest score of the features, the changed one in the place of its own.

    An alarm is any column's, or with ``drifted_share`` that of at least this share of the columns.
    """
    features = [column for column, feature in columns.items() if column == feature]
    shifted = {"none": "", **{column: feature for column, feature in columns.items() if column != feature}}
    found = []
    for shift, feature in shifted.items():
        used = [name for name in features if name != feature] + [shift] * bool(feature)
        share = pl.col("alarm").mean()
        alarm = share >= drifted_share if drifted_share else pl.col("alarm").any()
        checks = scores.filter(pl.col("column").is_in(used)).group_by("stream", "check")
        found.append(checks.agg(shift=pl.lit(shift), score=pl.col("score").fill_nan(0).max(), alarm=alarm))
    return _with_label_shift(pl.concat(found), columns)


def _with_label_shift(scores: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """A shift that changes no feature gives every tool the same rows as no shift."""
    if all(column == feature for column, feature in columns.items()):
        return scores
    unseen = [shift.name for shift in SHIFTS if shift.feature is None]
    rows = scores.filter(shift="none")
    return pl.concat([scores, *(rows.with_columns(shift=pl.lit(name)) for name in unseen)])


def _named(tool: str, scores: pl.DataFrame) -> pl.DataFrame:
    return scores.select(
        tool=pl.lit(tool),
        stream=pl.col("stream").cast(pl.Int64),
        check=pl.col("check").cast(pl.Int64),
        shift="shift",
        score=pl.col("score").cast(pl.Float64),
        alarm=pl.col("alarm").cast(pl.Boolean),
    )
