"""What a backtest counts. That a live run does the same: tests/integration/store/test_backtest_agrees.py."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from shared.jobs.model import Job, JobState
from shared.jobs.triggers import Occurrence, Outcome
from shared.triggers.backtest import MOST_OCCURRENCES, Backtested, Change, Past, TooManyOccurrences, backtest
from shared.triggers.fields import Policy, When
from shared.triggers.past import changes_in, median_seconds, occurrences_of
from shared.triggers.timeline_picture import timeline_picture

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PUSHES = When.model_validate({"git": {"repository": "github.com/user/iris"}})
DATA = When.model_validate({"dataset": {"look_every_seconds": 3600}})


def at(hours: float) -> datetime:
    return BEGIN + hours * HOUR


def past(*hours: float, days: int = 2, **known: Any) -> Past:
    occurrences = [Occurrence(f"push {n}", at(hour)) for n, hour in enumerate(hours)]
    usual = {"job_seconds": 3600, "gpus": 2, "cpus": 4.0}
    return Past(since=BEGIN, until=at(24 * days), occurrences=occurrences, **{**usual, **known})


def run(policy: Policy, known: Past, when: When = PUSHES) -> Backtested:
    return backtest("nightly", when, policy, known)


def test_hours_are_counted_from_the_length_of_past_jobs() -> None:
    done = run(Policy(), past(1, 5, 9))
    assert (done.jobs, done.gpu_hours, done.cpu_hours) == (3, 6, 12)
    unknown = run(Policy(), past(1, 5, 9, job_seconds=None))
    assert (unknown.jobs, unknown.gpu_hours, unknown.cpu_hours) == (3, None, None)
    assert run(Policy(), past(1, cpus=None)).cpu_hours is None


def test_jobs_run_one_after_the_other() -> None:
    done = run(Policy(if_running="queue"), past(1, 1.5, data=[Change(at(1.25), "a")]))
    assert done.jobs == 2
    assert done.longest_without_change_seconds == 1.75 * 3600  # the second one starts when the first has ended


def test_one_that_is_cancelled_counts_for_what_it_ran_and_trains_nothing() -> None:
    done = run(Policy(if_running="cancel_older"), past(1, 1.5))
    assert (done.jobs, done.cancelled, done.gpu_hours) == (2, 1, 3)


def test_what_held_back_is_counted_by_the_policys_field() -> None:
    done = run(Policy(cooldown=7200), past(1, 2, 2.5))
    assert (done.jobs, done.waited, done.superseded) == (2, {"cooldown": 2}, 1)
    assert [(mark.at, mark.outcome) for mark in done.timeline] == [
        (at(1), Outcome.FIRED),
        (at(2), Outcome.WAITING),
        (at(2.5), Outcome.SUPERSEDED),
        (at(2.5), Outcome.WAITING),
        (at(3), Outcome.FIRED),
    ]
    assert run(Policy(if_running="skip"), past(1, 1.5)).skipped == {"if_running": 1}
    assert run(Policy(cooldown=86400), past(47, 47.5)).still_waiting == 1


def test_inputs_that_did_not_change_since_the_last_success_are_skipped() -> None:
    known = past(1, 3, 5, 7, data=[Change(at(-1), "a"), Change(at(4), "b")])
    assert run(Policy(skip_if_same_inputs=True), known).skipped == {"skip_if_same_inputs": 2}
    assert run(Policy(skip_if_same_inputs=True), replace(known, data=())).skipped == {}  # nothing is known
    code = replace(known, data=(), code=[Change(at(0.5), "a")])
    assert run(Policy(skip_if_same_inputs=True), code).skipped == {"skip_if_same_inputs": 3}


def test_the_data_is_as_old_as_the_longest_time_without_its_change() -> None:
    changes = [Change(at(-5), "0"), Change(at(2), "a"), Change(at(3), "b"), Change(at(40), "c")]
    done = run(Policy(), past(6, 30, data=changes))
    assert done.longest_without_change_seconds == 8 * 3600  # from c to the end of the time
    assert done.oldest_data_seconds == 25 * 3600  # from the first start to the end of the second job
    assert run(Policy(), past(6)).longest_without_change_seconds is None


def test_too_many_times_are_refused() -> None:
    when = When(every=10)
    until = BEGIN + timedelta(seconds=10 * MOST_OCCURRENCES)
    assert run(Policy(), replace(past(), until=until), when).jobs > 0
    with pytest.raises(TooManyOccurrences):
        run(Policy(), replace(past(), until=until + timedelta(seconds=10)), when)
    many = [Occurrence(str(n), BEGIN) for n in range(MOST_OCCURRENCES + 1)]
    with pytest.raises(TooManyOccurrences):
        run(Policy(), replace(past(), occurrences=many))


def test_a_dataset_is_seen_as_it_is_at_each_look() -> None:
    changes = [Change(at(-3), "0"), Change(at(1.2), "a"), Change(at(1.7), "b"), Change(at(3), "c")]
    found = occurrences_of(DATA, BEGIN, data=changes, code=(), known=())
    assert [(each.at, each.facts["revision"]) for each in found] == [(at(2), "b"), (at(3), "c")]


def test_pushes_are_changes_of_the_code_or_else_what_was_sent() -> None:
    sent = [Occurrence("2", at(2)), Occurrence("1", at(1))]
    code = [Change(at(4), "a")]
    assert [each.at for each in occurrences_of(PUSHES, BEGIN, data=(), code=code, known=sent)] == [at(4)]
    assert [each.at for each in occurrences_of(PUSHES, BEGIN, data=(), code=(), known=sent)] == [at(1), at(2)]


def job(hour: float, minutes: float, state: JobState = JobState.SUCCEEDED, **fields: Any) -> Job:
    names = {"id": "1", "experiment_name": "iris", "model_name": None, "queue": "q", "priority": 4}
    times = {"created_at": at(hour), "queued_at": at(hour), "started_at": at(hour)}
    ended_at = at(hour) + timedelta(minutes=minutes)
    return Job(**names, concurrency_key="", request={}, state=state, ended_at=ended_at, **times, **fields)  # type: ignore[arg-type]


def test_past_jobs_tell_their_length_and_when_what_they_train_on_changed() -> None:
    failed = job(5, 1, JobState.FAILED, commit_sha="c")
    jobs = [failed, job(3, 30, commit_sha="b"), job(2, 10, commit_sha="a"), job(1, 20, commit_sha="a"), job(0, 20)]
    assert median_seconds(jobs) == 20 * 60
    assert median_seconds([failed]) is None
    assert changes_in(jobs, "commit_sha") == [Change(at(1), "a"), Change(at(3), "b"), Change(at(5), "c")]


def test_the_picture_is_of_shapes_only_and_names_itself() -> None:
    evil = '<script>alert("1")</script>\x00&'
    results = {evil: run(Policy(cooldown=7200), past(1, 2, 2.5)), "other": run(Policy(), past())}
    root = ElementTree.fromstring(timeline_picture(evil, BEGIN, at(48), results))  # noqa: S314 - our own text
    names = {element.tag.partition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "desc", "rect", "text", "line", "path"}
    texts = {element.tag.partition("}")[2]: element.text or "" for element in root.iter()}
    assert root.get("role") == "img"
    assert "2 jobs" in texts["desc"]
    assert texts["title"] == '<script>alert("1")</script>&'


def test_the_picture_of_a_year_of_firings_stays_small() -> None:
    minutely = run(Policy(if_running="queue"), past(*[n / 60 for n in range(1, 5001)], days=365, job_seconds=None))
    assert minutely.jobs == 5000
    assert len(timeline_picture("t", BEGIN, at(365 * 24), {"a": minutely})) < 20_000
