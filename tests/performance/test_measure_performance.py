"""A pipeline whose labels come in over days: what is told of its windows while they are open, and in the end."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from parcels import Document, Parcels, end_of, feedback_on, inference_of, made_parcels
from plain import run

import flows.measure_performance
import tasks.reports
from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.metadata.queries.performance import performance_windows
from flywheel.performance.known import joined_by, read_rows
from flywheel.performance.measure import Performance, measure_performance
from flywheel.performance.measured import MeasuredWindow
from flywheel.training.evaluate import score_metrics

HOUR = timedelta(hours=1)
DAYS = 6


def _plainly(document: Document) -> None:
    document["spec"]["batch"]["max_rows"] = 10_000
    document["spec"]["sinks"] = []


def events_of(parcels: pl.DataFrame, day: int) -> pl.DataFrame:
    """Those that are on time are told within 4 hours, the late ones after 10 to 40."""
    random = np.random.default_rng(day)
    hours = np.where(parcels["minutes_late"] > 0, 10 + random.gamma(2.0, 6.0, 300), random.uniform(1, 4, 300))
    each = parcels.with_columns(hours=pl.Series(hours).clip(0, 47))
    waited = pl.duration(seconds=(pl.col("hours") * 3600).cast(int))
    times = (pl.col("timestamp").str.to_datetime(time_zone="UTC") + waited).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    plain = feedback_on(parcels).drop("timestamp")
    return plain.with_columns(timestamp=each.select(times).to_series()).sort("timestamp")


@pytest.fixture(scope="module")
def six_days(champion_made: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """Six days of predictions; of each, the feedback that has come by the end of the sixth, joined day by day."""
    made = champion_made.copy(tmp_path_factory.mktemp("six-days") / "w")
    made.revise(_plainly)
    for day in range(1, DAYS + 1):
        parcels = made_parcels(day, end_of(day - 1), 300, luck=60.0)
        made.records(f"{day}.ndjson", parcels)
        made.events(f"{day}.ndjson", events_of(parcels, day))
        run(infer, made, end_of(day))
        run(join_feedback, made, end_of(day))
    return made


@pytest.fixture
def copy(six_days: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    return six_days.copy(tmp_path_factory.mktemp("copy") / "w")


def measure(parcels: Parcels, day: float) -> Performance:
    return measure_performance(parcels.context, end_of(day))


def of_all(performance: Performance) -> dict[int, MeasuredWindow]:
    """The windows of all versions together, by their day."""
    return {(each.end - end_of(0)).days: each for each in performance.windows if each.version == 0}


def test_windows_are_final_once_every_label_has_had_its_time(copy: Parcels) -> None:
    windows = of_all(measure(copy, DAYS))
    assert [windows[day].state for day in range(1, DAYS + 1)] == ["final"] * 4 + ["open"] * 2
    assert [windows[day].rows for day in range(1, DAYS + 1)] == [300] * DAYS
    assert all(windows[day].labelled == windows[day].expected == 300 for day in range(1, 5))
    newest = windows[DAYS]
    assert newest.labelled < 250
    assert newest.expected == pytest.approx(300, rel=0.05)
    assert newest.measured < newest.labelled
    for day in (1, 5, 6):
        for value in windows[day].metrics.values():
            assert value.value is not None
            assert (value.low or 0) <= value.value <= (value.high or 0)


def test_a_final_window_is_scikit_learn_on_all_of_its_rows(copy: Parcels) -> None:
    found = of_all(measure(copy, DAYS))[2].metrics
    rows = copy.table("predictions").join(copy.table("labels"), on="prediction_id", suffix="_of_label")
    rows = rows.filter(pl.col("event_time").is_between(end_of(1), end_of(2), closed="left"))
    truth, output = (rows["label"] == "late").to_numpy(), rows["prediction"].struct
    wanted = score_metrics(truth, output.field("score").to_numpy(), np.ones(rows.height))
    wanted["accuracy"] = float((output.field("label") == rows["label"]).mean())  # type: ignore[arg-type]
    assert {name: value.value for name, value in found.items()} == pytest.approx(wanted)


def test_the_newest_window_is_corrected_for_labels_to_come(copy: Parcels) -> None:
    """Its labelled rows are nearly all on time; in the end, two in five are late."""
    early = of_all(measure(copy, DAYS))[DAYS]
    run(join_feedback, copy, end_of(DAYS + 2))
    late = of_all(measure(copy, DAYS + 2))[DAYS]
    assert late.state == "final"
    for metric in ("accuracy", "log_loss", "auc"):
        final = late.metrics[metric].value or 0
        assert (early.metrics[metric].low or 0) <= final <= (early.metrics[metric].high or 0)


def test_what_is_to_be_expected_is_told_before_the_labels(copy: Parcels) -> None:
    windows = of_all(measure(copy, DAYS))
    assert all(value.estimated is None for value in windows[1].metrics.values())
    for name, value in windows[DAYS].metrics.items():
        assert value.estimated == pytest.approx(value.value, rel=0.2), name
    early = of_all(measure_performance(copy.context, end_of(DAYS) - 23 * HOUR))
    assert early[5].labelled < windows[5].labelled


def test_final_windows_are_written_once(copy: Parcels) -> None:
    database = copy.workspace.database()
    first = measure(copy, DAYS)
    again = measure(copy, DAYS)
    assert [each.end for each in again.windows if each.version == 0] == [end_of(5), end_of(6)]
    assert again.windows == first.windows[-len(again.windows) :]
    final = [each for each in performance_windows(database, "parcels", 99, None) if each.state == "final"]
    run(join_feedback, copy, end_of(DAYS + 2))
    measure(copy, DAYS + 2)
    later = performance_windows(database, "parcels", 99, None)
    assert [each for each in later if each.end <= end_of(4)] == final
    assert {each.state for each in later} == {"final"}
    assert {each.version for each in later} == {0, 1}
    assert measure(copy, DAYS + 2).note.startswith("nothing new")


def test_no_labels_are_not_known_yet_and_not_nought(copy: Parcels, parcels: Parcels) -> None:
    parcels.revise(_plainly)
    parcels.day(1)
    run(infer, parcels, end_of(1))
    assert measure(parcels, 1).note == "not known yet: no feedback has been joined"
    for file in (copy.root / "data" / "deliveries").iterdir():
        file.unlink()
    day = made_parcels(DAYS + 1, end_of(DAYS), 300)
    copy.records(f"{DAYS + 1}.ndjson", day)
    run(infer, copy, end_of(DAYS + 1))
    newest = of_all(measure(copy, DAYS + 1))[DAYS + 1]
    assert newest.note == "not known yet: 0 of 300 predictions have a label"
    assert all(value.value is None and value.estimated is not None for value in newest.metrics.values())


def test_each_version_has_its_own_rows(copy: Parcels) -> None:
    windows = measure(copy, DAYS).windows
    own = [each for each in windows if each.version == copy.champion()]
    together = [each for each in windows if each.version == 0]
    assert [each.rows for each in own] == [300] * DAYS
    for one, other in zip(own, together, strict=True):
        assert {name: value.value for name, value in one.metrics.items()} == {
            name: value.value for name, value in other.metrics.items()
        }


def test_a_regression_is_given_its_features(copy: Parcels) -> None:
    joined = joined_by(copy.context, end_of(DAYS))
    assert joined is not None
    assert (joined.until, joined.last_batch) == (end_of(DAYS), DAYS)
    rows = read_rows(copy.context, joined, (end_of(0), end_of(1)), end_of(DAYS), ["km", "kilos"])
    assert rows.height == 300
    assert rows.select("km", "kilos", "label", "delay").null_count().row(0) == (0, 0, 0, 0)
    assert joined_by(copy.context, end_of(0.5)) is None


def test_answers_under_an_earlier_name_are_not_measured(copy: Parcels) -> None:
    copy.revise(_plainly, _renamed)
    found = measure(copy, DAYS)
    assert (found.windows, found.count("final")) == ([], 0)
    assert found.newest.startswith("nothing new")


def _renamed(document: Document) -> None:
    inference_of(document)["output_field"] = "answer"


def test_the_flow_stores_and_shows_what_it_measures(copy: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    told = run(flows.measure_performance.measure_performance, copy, end_of(DAYS))
    assert (told.final, told.open, told.metric) == (4, 2, "log_loss")
    assert told.newest.endswith("2024-03-06 to 2024-03-07, open")
    shown: list[str] = []
    monkeypatch.setattr(tasks.reports, "create_markdown_artifact", lambda text, **_more: shown.append(text))
    tasks.reports.publish_performance(copy.context, measure(copy, DAYS))
    (text,) = shown
    assert "data:image/png;base64," in text
    assert "| 2024-03-04 to 2024-03-05 | final | 300 | 300 of 300 expected (100%) |" in text
