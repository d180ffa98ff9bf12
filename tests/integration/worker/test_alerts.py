"""Alerts on the real store and over real HTTP, to a stand-in for Discord that fails: each comes, once and in order."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle
from random import Random
from typing import Any

import pytest
from pydantic import SecretStr

from shared.alerts.model import AlertEvent, Alerting, TrialState
from shared.jobs.model import Job, JobState
from shared.scheduling.limits import Limits
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from shared.sql import SqlStore
from tests.integration.worker.alert_lives import Killed, Life, MortalChannel
from tests.support.alerting.discord import BURST, BURST_SECONDS, MOVED_PATH, PATH, DiscordServer, Trouble
from tests.support.clocks import HeldClock
from tests.support.jobs import ended, running
from tests.support.threads import at_once
from tests.support.waiting import wait_until
from worker.alerts.content import TITLES
from worker.alerts.posting import Endpoint
from worker.alerts.registry import channels_of
from worker.alerts.seam import News, Verdict
from worker.alerts.sender import LEASE_SECONDS, AlertSender

STEPS, SENDERS = 120, 3
LONG_SECONDS = 400.0  # longer than any backoff
KILLS = 0.1  # of posts
TROUBLES = [*Trouble, Trouble.BROKEN, *[Trouble.NONE] * 4]
Told = tuple[str, int, AlertEvent]


@pytest.fixture
def clock() -> HeldClock:
    """The time of everything."""
    return HeldClock()


@pytest.fixture
def store(sql_url: str, clock: HeldClock) -> Iterator[SqlStore]:
    """A store that records every event for Discord."""
    alerting = Alerting(frozenset(AlertEvent), frozenset({"discord"}))
    made = SqlStore(sql_url, clock=clock, limits=Limits(per_key=9), alerting=alerting)
    yield made
    made.close()


@pytest.fixture
def serve(clock: HeldClock) -> Iterator[Callable[..., DiscordServer]]:
    """Starts the stand-in."""
    servers = []

    def start(trouble: Callable[[], Trouble] = lambda: Trouble.NONE) -> DiscordServer:
        servers.append(DiscordServer(clock=clock.monotonic, trouble=trouble))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def _sender(store: SqlStore, url: str, clock: HeldClock, *, dies: Callable[[], bool] = lambda: False) -> AlertSender:
    channels: dict[str, MortalChannel] = {"discord": MortalChannel(url, dies)}
    return AlertSender(store, channels, clock=clock.monotonic, jitter=Random(0).random)  # noqa: S311 - jitter


def _send_all(sender: AlertSender) -> None:
    while sender.once():
        pass


def _told(message: dict[str, Any]) -> Told:
    [embed] = message["embeds"]
    job, _, attempt = embed["footer"]["text"].removeprefix("job ").partition(", attempt ")
    event = next(event for event, title in TITLES.items() if embed["title"].endswith(f": {title}"))
    return job, int(attempt), event


def _by_job(messages: list[dict[str, Any]]) -> dict[str, list[Told]]:
    found = defaultdict(list)
    for message in messages:
        told = _told(message)
        found[told[0]].append(told)
    return found


def _expected(job: Job) -> list[Told]:
    """What the job's own history says that was to be told."""
    events = {state: AlertEvent(state) for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)}
    events |= {JobState.RUNNING: AlertEvent.STARTED, JobState.RETRY_WAIT: AlertEvent.RETRYING}
    changes = [change for change in job.transitions if change.to_state is not change.from_state]
    return [(job.id, change.attempt, events[change.to_state]) for change in changes if change.to_state in events]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_event_comes_once_and_in_order_whoever_dies_and_whatever_discord_answers(
    store: SqlStore, clock: HeldClock, serve: Callable[..., DiscordServer], seed: int
) -> None:
    dice = Random(seed)  # noqa: S311 - faults
    troubles = cycle(dice.sample(TROUBLES, len(TROUBLES)))
    is_bad = True
    server = serve(lambda: next(troubles) if is_bad else Trouble.NONE)

    def dies() -> bool:
        return is_bad and dice.random() < KILLS

    senders = [_sender(store, server.url, clock, dies=dies) for _ in range(SENDERS)]
    life = Life(store, dice)
    killed = 0
    for _ in range(STEPS):
        life.step()
        which = dice.randrange(SENDERS)
        try:
            senders[which].once()
        except Killed:
            killed += 1
            senders[which] = _sender(store, server.url, clock, dies=dies)
        clock.pass_seconds(dice.choice([0, 0.1, 1, 5]))
    is_bad = False
    for _ in range(STEPS):
        clock.pass_seconds(LONG_SECONDS)
        _send_all(senders[0])
    told = _by_job(server.messages)
    assert {job_id: told[job_id] for job_id in life.jobs} == {job: _expected(store.get(job)) for job in life.jobs}
    assert killed
    assert {200, 429, 500} <= set(server.statuses)
    assert all(query == {"wait": ["true"], "thread_id": ["42"]} for query in server.queries)


def test_many_senders_at_once_send_each_alert_once_and_in_order(
    store: SqlStore, clock: HeldClock, serve: Callable[..., DiscordServer]
) -> None:
    server = serve()
    jobs = [ended(store) for _ in range(10)]
    senders = [_sender(store, server.url, clock) for _ in range(4)]

    def all_are_sent() -> bool:
        clock.pass_seconds(LONG_SECONDS)
        at_once(len(senders), lambda number: _send_all(senders[number]))
        return len(server.messages) == 2 * len(jobs)

    wait_until(all_are_sent)
    clock.pass_seconds(LONG_SECONDS)
    assert not any(sender.once() for sender in senders)
    assert _by_job(server.messages) == {job_id: _expected(store.get(job_id)) for job_id in jobs}


def test_a_sender_never_asks_for_more_than_discord_takes_at_a_time(
    store: SqlStore, clock: HeldClock, serve: Callable[..., DiscordServer]
) -> None:
    server = serve()
    sender = _sender(store, server.url, clock)
    jobs = [running(store).job.id for _ in range(2 * BURST + 1)]
    for burst in (BURST, BURST, 1):
        before = len(server.messages)
        _send_all(sender)
        assert len(server.messages) - before == burst
        clock.pass_seconds(BURST_SECONDS)
    assert server.statuses == [200] * len(jobs)


def test_two_senders_share_what_discord_takes(
    store: SqlStore, clock: HeldClock, serve: Callable[..., DiscordServer]
) -> None:
    server = serve()
    senders = [_sender(store, server.url, clock) for _ in range(2)]
    for _ in range(BURST + 1):
        running(store)
    for _ in range(BURST):
        assert senders[0].once()
    assert senders[1].once()  # and learns that it is too much
    assert server.statuses[-1] == 429
    clock.pass_seconds(BURST_SECONDS - 0.1)
    assert not any(sender.once() for sender in senders)
    clock.pass_seconds(0.1)
    assert any(sender.once() for sender in senders)
    assert len(server.messages) == BURST + 1


def test_a_webhook_that_was_deleted_gets_one_post_and_one_line_without_its_address(
    store: SqlStore, clock: HeldClock, serve: Callable[..., DiscordServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    sender = _sender(store, f"{server.url}-deleted", clock)
    for _ in range(3):
        ended(store)
    with caplog.at_level(logging.DEBUG, logger="worker"):
        _send_all(sender)
        clock.pass_seconds(LONG_SECONDS)
        _send_all(sender)
    assert server.statuses == [404]
    [line] = caplog.records
    assert vars(line)["cause"].startswith("HTTP 404, code 10015; check DISCORD_WEBHOOK_URL")
    assert "hunter2" not in str(vars(line))


def test_a_test_message_comes_the_way_that_alerts_come(
    store: SqlStore, clock: HeldClock, serve: Callable[..., DiscordServer]
) -> None:
    server = serve()
    named = f"team-a=discord:{server.url},gone=discord:{server.url}-deleted"
    channels = channels_of(Settings.load(_env_file=None, alert_webhooks=named), Redactor())
    asked = store.ask_for_trials(channels)
    _send_all(AlertSender(store, channels, clock=clock.monotonic))
    found = [(trial.channel, trial.state, trial.cause) for trial in store.list_trials([each.id for each in asked])]
    refused = ("gone", TrialState.REFUSED, "HTTP 404, code 10015; check gone in ALERT_WEBHOOKS")
    assert found == [refused, ("team-a", TrialState.SENT, "")]
    [message] = server.messages
    assert message["embeds"][0]["title"] == "Test of the alert channel team-a"


def test_an_address_that_leads_elsewhere_is_not_followed(serve: Callable[..., DiscordServer]) -> None:
    server = serve()
    answer = Endpoint(server.url.replace(PATH, MOVED_PATH), {}).post(b"{}", {})
    assert answer.verdict is Verdict.LATER  # until the setting names the new address
    assert answer.cause.startswith("HTTP 302")
    assert server.statuses == [302]


def test_while_discord_is_away_jobs_go_on_and_are_told_of_later(
    store: SqlStore, clock: HeldClock, serve: Callable[..., DiscordServer], caplog: pytest.LogCaptureFixture
) -> None:
    troubles = iter([Trouble.CUT, Trouble.SILENT, Trouble.BROKEN])
    server = serve(lambda: next(troubles, Trouble.NONE))
    sender = _sender(store, server.url, clock)
    job_id = ended(store)
    for _ in range(3):
        _send_all(sender)
        clock.pass_seconds(LONG_SECONDS)
    assert server.messages == []
    assert store.get(job_id).state is JobState.SUCCEEDED
    _send_all(sender)
    assert _by_job(server.messages)[job_id] == _expected(store.get(job_id))
    assert "hunter2" not in str([vars(line) for line in caplog.records if line.name.startswith("worker")])


def test_what_was_sent_by_one_who_died_before_saying_so_comes_twice_rather_than_never(
    store: SqlStore, clock: HeldClock, serve: Callable[..., DiscordServer]
) -> None:
    server = serve()
    held = running(store)
    settings = Settings.load(_env_file=None, discord_webhook_url=SecretStr(server.url))
    alert = store.take_alert({"discord"}, lease_seconds=LEASE_SECONDS)
    assert alert is not None
    discord = channels_of(settings, Redactor())["discord"]
    discord.send(News(alert, store.get(held.job.id)))  # and dies before it says so
    clock.pass_seconds(LEASE_SECONDS)
    _send_all(_sender(store, server.url, clock))
    assert [_told(message) for message in server.messages] == [(held.job.id, 1, AlertEvent.STARTED)] * 2
