"""Test messages: sent once to their channel, with what became of them."""

import pytest

from shared.alerts.model import TrialState
from tests.support.jobs import ended, running
from tests.unit.worker.alerts.sending import BROKEN, GONE, REFUSED, TEAM, Bench, Event
from worker.alerts.seam import Answer, Verdict


def tried(bench: Bench, channel: str = "discord") -> tuple[str, str]:
    """Ask for a test message, and send what is due: what became of it."""
    [trial] = bench.store.ask_for_trials([channel])
    bench.send_all()
    [trial] = bench.store.list_trials([trial.id])
    return trial.state, trial.cause


def test_a_test_message_is_sent_once_to_its_channel_alone() -> None:
    bench = Bench()
    assert tried(bench, TEAM) == (TrialState.SENT, "")
    assert (len(bench.channel.trials), len(bench.other.trials)) == (0, 1)
    assert bench.pass_seconds(10_000) == 0
    assert len(bench.other.trials) == 1


@pytest.mark.parametrize(
    ("answer", "state", "cause"),
    [
        (GONE, "refused", "HTTP 404, code 10015; check DISCORD_WEBHOOK_URL and DISCORD_THREAD_ID"),
        (REFUSED, "refused", "HTTP 400, code 50035"),
        (BROKEN, "not_now", "HTTP 500"),
    ],
)
def test_what_became_of_a_test_message_is_told(answer: Answer, state: str, cause: str) -> None:
    assert tried(Bench(answer)) == (state, cause)


def test_a_test_message_that_gets_through_opens_a_closed_channel_again_and_another_one_does_not() -> None:
    bench = Bench(GONE, GONE, BROKEN)
    ended(bench.store)
    assert bench.send_all() == 1
    for _ in range(2):
        tried(bench)
    assert bench.pass_seconds(10_000) == 0
    tried(bench)
    assert bench.send_all() == 0
    assert bench.channel.events == [Event.STARTED, Event.SUCCEEDED]


def test_a_pause_that_was_asked_for_holds_for_test_messages_and_one_of_our_own_does_not() -> None:
    bench = Bench(Answer(Verdict.LATER, "HTTP 429", pause_seconds=7), BROKEN)
    assert tried(bench) == (TrialState.NOT_NOW, "HTTP 429")
    assert tried(bench) == (TrialState.NOT_NOW, "it takes no message for another 7 s")
    running(bench.store)
    assert bench.send_all() == 0
    assert bench.pass_seconds(7) == 1
    assert tried(bench) == (TrialState.SENT, "")
