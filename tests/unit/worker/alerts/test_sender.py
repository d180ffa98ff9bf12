"""The sender of alerts, on a store in memory and a channel that answers as the test says."""

import logging
import threading

import pytest

from shared.errors import StoreUnavailable
from tests.support.jobs import FAILED, claimed, ended, running
from tests.unit.worker.alerts.sending import BROKEN, GONE, REFUSED, SENT, TEAM, Bench, Event, ScriptedChannel
from worker.alerts.seam import Answer, Verdict
from worker.alerts.sender import GIVE_UP_AFTER_SECONDS, LEASE_SECONDS, STRAY_SECONDS, AlertSender

ASKS = {"request": {"alerts": {"to": [TEAM], "events": None}}}


def test_what_is_recorded_is_sent_once_and_in_order() -> None:
    bench = Bench()
    job_id = ended(bench.store)
    assert bench.send_all() == 2
    assert bench.pass_seconds(10_000) == 0
    assert bench.channel.events == [Event.STARTED, Event.SUCCEEDED]
    assert {each.alert.job_id for each in bench.channel.news} == {job_id}


def test_a_failure_comes_with_the_end_of_its_log_and_nothing_else_does() -> None:
    bench = Bench()
    held = running(bench.store)
    bench.store.append_log(held, b"x" * 100_000 + b"\nlast \xff line\n", source_offset=9)
    bench.store.finish(held, FAILED)
    bench.send_all()
    first, second = bench.channel.news
    assert first.output == ""
    assert second.output.endswith("\nlast \ufffd line\n")
    assert len(second.output) < 20_000


def test_a_broken_server_is_asked_again_after_twice_as_long_each_time() -> None:
    bench = Bench(*[BROKEN] * 12)
    running(bench.store)
    bench.send_all()
    waits = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    for seconds in waits:
        assert bench.pass_seconds(seconds - 0.5) == 0
        assert bench.pass_seconds(0.5) == 1
    assert bench.pass_seconds(300) == 1
    assert bench.pass_seconds(10_000) == 0


def test_the_backoff_has_full_jitter() -> None:
    bench = Bench(*[BROKEN] * 5)
    channels: dict[str, ScriptedChannel] = {"discord": bench.channel}
    rolls = iter([0.0, 0.0, 0.5, 0.5])
    sender = AlertSender(bench.store, channels, clock=bench.clock.monotonic, jitter=lambda: next(rolls, 1.0))
    running(bench.store)
    assert sender.once()
    assert sender.once()
    bench.clock.pass_seconds(0.9)
    assert not sender.once()
    bench.clock.pass_seconds(0.1)
    assert sender.once()


def test_an_outage_pauses_the_channel_and_not_each_alert() -> None:
    bench = Bench(*[BROKEN] * 4)
    for _ in range(20):
        running(bench.store)
    assert bench.send_all() == 1
    assert [bench.pass_seconds(seconds) for seconds in (1, 2, 4)] == [1, 1, 1]
    assert bench.pass_seconds(8) == 20


def test_who_asks_for_a_pause_gets_it_before_any_other_alert() -> None:
    bench = Bench(Answer(Verdict.LATER, "HTTP 429", pause_seconds=7))
    ended(bench.store)
    ended(bench.store)
    assert bench.send_all() == 1
    assert bench.pass_seconds(6.9) == 0
    assert bench.pass_seconds(0.1) == 4


def test_who_has_taken_as_much_as_it_does_at_a_time_is_left_alone() -> None:
    bench = Bench(SENT, Answer(Verdict.SENT, pause_seconds=2))
    for _ in range(3):
        running(bench.store)
    assert bench.send_all() == 2
    assert bench.pass_seconds(2) == 1


def test_a_pause_without_end_ends_after_an_hour() -> None:
    bench = Bench(Answer(Verdict.LATER, "HTTP 429", pause_seconds=1e9))
    running(bench.store)
    bench.send_all()
    assert bench.pass_seconds(3600) == 1


def test_a_wrong_address_gets_one_post_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(GONE)
    for _ in range(5):
        ended(bench.store)
    with caplog.at_level(logging.INFO):
        assert bench.send_all() == 1
        assert bench.pass_seconds(10_000) == 0
    [line] = caplog.records
    assert (line.levelname, line.message) == ("ERROR", "alert given up")
    assert "DISCORD_WEBHOOK_URL" in vars(line)["cause"]


def test_the_worker_that_is_started_with_the_right_address_sends_the_rest() -> None:
    bench = Bench(GONE)
    ended(bench.store)
    ended(bench.store)
    bench.send_all()
    assert bench.send_all(bench.another_sender()) == 3


def test_a_message_that_is_refused_is_given_up_with_a_line_and_the_next_one_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(REFUSED)
    ended(bench.store)
    assert bench.send_all() == 2
    assert bench.pass_seconds(10_000) == 0
    [line] = caplog.records
    assert (line.message, vars(line)["cause"]) == ("alert given up", "HTTP 400, code 50035")


def test_what_is_a_day_old_is_given_up_unsent(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    running(bench.store)
    assert bench.pass_seconds(GIVE_UP_AFTER_SECONDS + 1) == 0
    [line] = caplog.records
    assert vars(line)["cause"] == "it is too old"
    assert bench.pass_seconds(10_000) == 0


def test_the_channels_do_not_wait_for_each_other() -> None:
    bench = Bench(GONE, channels=frozenset({"discord", TEAM}))
    ended(bench.store)
    assert bench.send_all() == 1
    assert bench.other.events == [Event.STARTED, Event.SUCCEEDED]


def test_a_job_that_is_deleted_meanwhile_is_passed_over() -> None:
    bench = Bench()
    ended(bench.store)
    alone = bench.store.get

    def get_deleted(job_id: str) -> object:
        bench.clock.pass_seconds(1)
        bench.store.delete_ended(older_than_seconds=0.5, limit=9)
        return alone(job_id)

    bench.store.get = get_deleted  # type: ignore[method-assign,assignment]
    assert bench.send_all() == 0
    assert not bench.sender.once()


def test_what_was_sent_while_the_store_went_away_is_not_sent_again() -> None:
    bench = Bench()
    ended(bench.store)

    def take_down() -> None:
        bench.store.down = True

    bench.channel.before_answer = take_down
    with pytest.raises(StoreUnavailable):
        bench.sender.once()
    bench.channel.before_answer = lambda: None
    with pytest.raises(StoreUnavailable):
        bench.sender.once()
    bench.store.down = False
    bench.clock.pass_seconds(LEASE_SECONDS)
    bench.send_all()
    assert bench.channel.events == [Event.STARTED, Event.SUCCEEDED]


def test_a_sender_that_dies_leaves_its_alert_to_another_one() -> None:
    bench = Bench(RuntimeError("killed"))
    ended(bench.store)
    with pytest.raises(RuntimeError, match="killed"):
        bench.sender.once()
    other = bench.another_sender()
    assert bench.send_all(other) == 0
    bench.clock.pass_seconds(LEASE_SECONDS)
    assert bench.send_all(other) == 2
    assert bench.channel.events == [Event.STARTED, Event.STARTED, Event.SUCCEEDED]


def test_the_loop_survives_the_store_and_its_own_faults_and_ends_when_it_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worker.alerts.sender.BROKEN_SECONDS", 0)
    monkeypatch.setattr("worker.alerts.sender.LEASE_SECONDS", 0)
    bench, stopping = Bench(RuntimeError("a fault of ours"), StoreUnavailable("away")), threading.Event()
    running(bench.store)

    def stop_at_third() -> None:
        if len(bench.channel.news) == 3:
            stopping.set()

    bench.channel.before_answer = stop_at_third
    bench.sender.run_until(stopping)
    assert bench.channel.events == [Event.STARTED] * 3
    assert [record.message for record in caplog.records] == ["step broke", "put off"]


def test_a_job_tells_whom_it_asked_for_and_others_are_told_of_the_rest() -> None:
    bench = Bench()
    ended(bench.store, **ASKS)
    job_id = ended(bench.store)
    assert bench.send_all() == 2
    assert {each.alert.job_id for each in bench.channel.news} == {job_id}
    assert bench.other.events == [Event.STARTED, Event.SUCCEEDED]


def test_a_named_webhook_that_was_deleted_is_closed_alone_and_told_by_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.other.script = [GONE]
    for _ in range(3):
        ended(bench.store, **ASKS)
    ended(bench.store)
    assert bench.send_all() == 2
    assert len(bench.other.news) == 1
    [line] = caplog.records
    assert "check team-a in ALERT_WEBHOOKS" in vars(line)["cause"]


def test_alerts_for_a_channel_that_was_removed_are_given_up_with_a_line_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    ended(bench.store, request={"alerts": {"to": ["team-gone"]}})
    with caplog.at_level(logging.INFO):
        assert bench.send_all() == 0
        assert caplog.records == []  # a worker that was started later may know it
        bench.clock.pass_seconds(STRAY_SECONDS)
        assert AlertSender(bench.store, {}, clock=bench.clock.monotonic).once()
        assert bench.send_all() == 0
        assert bench.pass_seconds(10_000) == 0
    lines = [(line.message, vars(line)["event"], vars(line)["cause"]) for line in caplog.records]
    cause = "this worker has no such channel, or no longer: check team-gone in ALERT_WEBHOOKS"
    assert lines == [("alert given up", event, cause) for event in (Event.STARTED, Event.SUCCEEDED)]


def test_nothing_is_taken_for_a_channel_that_this_worker_does_not_have() -> None:
    bench = Bench()
    claim = claimed(bench.store)
    bench.store.started(claim, runner="docker", container="c1")
    AlertSender(bench.store, {TEAM: bench.other}).once()
    assert bench.send_all() == 1
