from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flywheel.errors import NotFoundError, PromotionConflictError
from flywheel.registry.store import Registry

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)


def register(registry: Registry, trained: Any, key: str, **metrics: float) -> int:
    return registry.register("flights", "flight-delays", key, trained.data, trained.card, metrics, AS_OF).version


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work(0..count-1)`` at the same moment; an exception is its result."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = work(number)
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_training_is_registered_once(registry, classifier):
    assert register(registry, classifier, "bootstrap", auc=0.7) == 1
    assert register(registry, classifier, "drift-7") == 2
    assert register(registry, classifier, "bootstrap") == 1
    first, second = registry.versions("flights")
    assert (first.status, first.training_key, first.metrics) == ("candidate", "bootstrap", {"auc": 0.7})
    assert first.card == classifier.card
    assert second.version == 2
    assert [(each.version, each.event, each.as_of) for each in registry.history("flights")] == [
        (1, "registered", AS_OF),
        (1, "evaluated", AS_OF),
        (2, "registered", AS_OF),
    ]


def test_versions_registered_at_once_get_numbers_of_their_own(registry, classifier):
    versions = at_once(8, lambda number: register(registry, classifier, f"key-{number % 6}"))
    assert sorted(set(versions)) == [1, 2, 3, 4, 5, 6]
    assert versions[0] == versions[6]
    assert versions[1] == versions[7]


def test_promotion_archives_the_champion_before(registry, classifier):
    for key in ("a", "b"):
        register(registry, classifier, key)
    assert registry.champion("flights") is None
    assert registry.promote("flights", 1, None, "first champion", AS_OF).status == "champion"
    later = AS_OF + timedelta(days=7)
    registry.promote("flights", 2, 1, "log loss 0.39 < 0.41", later)
    assert registry.champion("flights").version == 2
    assert [each.status for each in registry.versions("flights")] == ["archived", "champion"]
    promotions = [(each.version, each.event, each.reason) for each in registry.history("flights")][2:]
    assert promotions == [
        (1, "promoted", "first champion"),
        (1, "archived", "replaced by version 2"),
        (2, "promoted", "log loss 0.39 < 0.41"),
    ]
    assert registry.history("flights")[-1].as_of == later


def test_promoting_the_champion_again_changes_nothing(registry, classifier):
    register(registry, classifier, "a")
    registry.promote("flights", 1, None, "first", AS_OF)
    before = registry.history("flights")
    assert registry.promote("flights", 1, None, "once more", AS_OF).status == "champion"
    assert registry.history("flights") == before


def test_an_archived_version_can_come_back(registry, classifier):
    for key in ("a", "b"):
        register(registry, classifier, key)
    registry.promote("flights", 1, None, "first", AS_OF)
    registry.promote("flights", 2, 1, "better", AS_OF)
    registry.promote("flights", 1, 2, "rollback", AS_OF)
    assert registry.champion("flights").version == 1


def test_a_decision_against_a_champion_that_changed_is_refused(registry, classifier):
    for key in ("a", "b", "c"):
        register(registry, classifier, key)
    registry.promote("flights", 1, None, "first", AS_OF)
    registry.promote("flights", 2, 1, "better", AS_OF)
    before = registry.history("flights")
    with pytest.raises(PromotionConflictError, match="compared with version 1, but the champion is version 2"):
        registry.promote("flights", 3, 1, "better than 1", AS_OF)
    assert registry.history("flights") == before


def test_of_promotions_at_once_one_wins(registry, classifier):
    for number in range(6):
        register(registry, classifier, f"key-{number}")
    results = at_once(6, lambda number: registry.promote("flights", number + 1, None, "race", AS_OF))
    assert sum(isinstance(each, PromotionConflictError) for each in results) == 5
    assert sorted(each.status for each in registry.versions("flights")) == ["candidate"] * 5 + ["champion"]


def test_rejection(registry, classifier):
    for key in ("a", "b"):
        register(registry, classifier, key)
    registry.promote("flights", 1, None, "first", AS_OF)
    for _ in range(2):
        assert registry.reject("flights", 2, "log loss 0.43 > 0.41", AS_OF).status == "rejected"
    assert [each.event for each in registry.history("flights")].count("rejected") == 1
    with pytest.raises(PromotionConflictError, match="is champion, not a candidate"):
        registry.reject("flights", 1, "no", AS_OF)


def test_unknown_names_are_answered_with_the_known_ones(registry, classifier):
    register(registry, classifier, "a")
    assert registry.model_ids() == ["flights"]
    assert registry.versions("fligths") == []
    with pytest.raises(NotFoundError, match=r"no model 'fligths' \(did you mean 'flights'\?\)"):
        registry.get("fligths", 1)
    with pytest.raises(NotFoundError, match="no version of flights '9'; there is: 1"):
        registry.promote("flights", 9, None, "no", AS_OF)
    with pytest.raises(NotFoundError, match="no version of flights '9'"):
        registry.reject("flights", 9, "no", AS_OF)
