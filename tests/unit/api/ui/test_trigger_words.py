"""What a trigger does, in words."""

from typing import Any

import pytest

from api.ui.trigger_words import about, duration, policy_in_words, when_in_words


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"cron": "30 2 * * *", "time_zone": "Europe/Berlin"}, "At 02:30 every day (Europe/Berlin)"),
        ({"every": 21600}, "Every 6 hours"),
        ({"dataset": {}}, "When the dataset of its template changes; looked at every 10 minutes"),
        ({"git": {"repository": "a/b/c"}}, "On a push to any branch of a/b/c"),
        ({"git": {"repository": "a/b/c", "branches": ["main"]}}, "On a push to branch main of a/b/c"),
        ({"registry": {"model": "m"}}, "When model m gets a new version"),
        (
            {"registry": {"model": "m", "event": "alias_moved", "alias": "gold"}},
            "When the alias gold of model m is set",
        ),
        ({"job": {"trigger": "nightly"}}, "After a job of trigger nightly has succeeded"),
        ({"signal": {}}, "On a signal"),
        ({"signal": {"above": 0.2}}, "On a signal with a value above 0.2"),
        ({"signal": {"metric": "f1"}}, "On a signal with f1"),
        ({"observations": {"model": "m", "metric": "f1", "below": 0.9}}, "When f1 of model m is observed below 0.9"),
        ({"cron": None, "every": 60, "git": None, "time_zone": None}, "Every 1 minute"),
        ({"moon": "full"}, "By something that this version does not know"),
    ],
)
def test_a_condition_is_a_sentence(when: dict[str, Any], words: str) -> None:
    assert when_in_words(when) == words


def test_each_part_of_a_policy_is_a_sentence() -> None:
    assert policy_in_words({}) == []
    found = policy_in_words(
        {
            "cooldown": 3600,
            "window": {"hours": "22:00-06:00", "days": ["tue", "mon"]},
            "max_per_day": 2,
            "skip_if_same_inputs": True,
            "if_running": "skip",
            "jitter": 90,
            "catch_up": "once",
            "disable_after": 3,
            "time_zone": "Europe/Berlin",
        }
    )
    assert found[:3] == [
        "At least 1 hour between two firings.",
        "Only from 22:00 to 06:00 on Mon, Tue (Europe/Berlin).",
        "At most 2 a day (Europe/Berlin).",
    ]
    assert len(found) == 8


def test_a_window_of_days_only_has_no_hours() -> None:
    assert policy_in_words({"window": {"days": ["sun"]}}) == ["Only on Sun (UTC)."]


def test_times_are_said_in_their_largest_unit() -> None:
    assert (duration(5400), duration(86400), duration(1)) == ("90 minutes", "1 day", "1 second")
    assert (about(5400), about(0)) == ("1.5 hours", "0 seconds")
