"""Numbers and spans in manifests that would overflow only when they are used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hostile import attack
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from flywheel.lake.span import before, day_after
from flywheel.manifest.fields import Duration, Moment
from flywheel.manifest.training import TrainingConfig
from flywheel.training.holdout import split_by_time

DURATIONS, MOMENTS = TypeAdapter(Duration), TypeAdapter(Moment)


@pytest.mark.parametrize("text", ["99999999999d", "P999999999D", "36526d", "5300w", "0s", "-PT1S", "1e5d", "d", ""])
def test_spans_that_leave_the_calendar_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        DURATIONS.validate_python(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "10000-01-01", "-1-01-01"])
def test_moments_outside_the_calendar_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        MOMENTS.validate_python(text)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**40])
def test_a_seed_that_no_estimator_takes_is_refused(seed: int) -> None:
    with pytest.raises(ValidationError, match="random_state"):
        TrainingConfig.model_validate(
            {"task": "anomaly", "algorithm": "isolation_forest", "holdout": "1d", "random_state": seed}
        )


moments = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)


@given(moments, st.timedeltas(timedelta(0), timedelta(days=73_050)))
@attack(60)
def test_going_back_in_time_ends_where_the_calendar_does(moment: datetime, span: timedelta) -> None:
    earlier = before(moment, span)
    assert earlier == max(datetime.min.replace(tzinfo=UTC), earlier)
    assert earlier + span >= moment if moment - earlier < span else earlier + span == moment
    assert day_after(moment) >= moment.date()
    assert split_by_time(pl.DataFrame({"event_time": [moment]}), span + timedelta(1)).holdout.height <= 1
