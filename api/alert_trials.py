"""Sends a test message to alert channels in the way that alerts go: a worker sends it, and reports the outcome."""

from collections.abc import Collection
from typing import Literal, assert_never

from pydantic import Field

from api.http.errors import NoAlertChannel
from api.http.models import AnswerBody
from api.services import Services
from api.submission import check_alert_channels
from shared.alerts.model import TRIAL_SECONDS, Trial, TrialState
from shared.scheduling.hosts import LIVE_SECONDS
from shared.words import is_known

ANSWER_SECONDS = 20  # until the channel must have answered the worker


class AlertTestResult(AnswerBody):
    """The outcome of a test message."""

    channel: str
    outcome: Literal["sent", "refused", "not_now", "no_worker", "no_answer"] = Field(
        description="refused: somebody must act. not_now: nobody answers there, or asks to be left alone for a while. "
        "no_worker: none is alive. no_answer: one is, and has not said in time what became of it."
    )
    cause: str = Field(description="Why, where it was not sent.")


def try_channels(names: Collection[str] | None, services: Services) -> list[AlertTestResult]:
    """Have workers test the channels, by default those of every job, and wait for the outcome."""
    channels = chosen_channels(names, services)
    if not services.store.live_workers(within_seconds=LIVE_SECONDS):
        return [AlertTestResult(channel=name, outcome="no_worker", cause="no worker is alive") for name in channels]
    ids = [trial.id for trial in services.store.ask_for_trials(channels)]
    await_end(ids, services)
    return [result_of(trial) for trial in services.store.list_trials(ids)]


def await_end(ids: Collection[str], services: Services) -> None:
    """Wait until workers have taken all messages, or no longer would, and then for the outcome."""

    def states() -> set[TrialState]:
        return {trial.state for trial in services.store.list_trials(ids)}

    services.long_poll.wait_until(lambda: TrialState.WAITING not in states(), seconds=TRIAL_SECONDS)
    services.long_poll.wait_until(lambda: TrialState.TAKEN not in states(), seconds=ANSWER_SECONDS)


def chosen_channels(names: Collection[str] | None, services: Services) -> list[str]:
    """Return the channels to test; raise NoAlertChannel or InvalidRequest."""
    check_alert_channels(names or (), services.settings, pointer="/to")
    if channels := sorted(names or services.settings.alerting.channels):
        return channels
    known = ", ".join(sorted(services.settings.alert_channels))
    advice = f"name one of {known}" if known else "set DISCORD_WEBHOOK_URL, ALERT_WEBHOOK_URL or ALERT_WEBHOOKS"
    raise NoAlertChannel(f"No alert channel is set up for jobs that name none: {advice}.")


def result_of(trial: Trial) -> AlertTestResult:
    """Return the outcome in the API's words."""
    match trial.state:
        case TrialState.SENT | TrialState.REFUSED | TrialState.NOT_NOW:
            return AlertTestResult(channel=trial.channel, outcome=trial.state.value, cause=trial.cause)
        case TrialState.TAKEN:
            cause = "a worker took it, and has not said yet what became of it"
        case TrialState.WAITING:
            cause = "no worker took it: perhaps none has this channel, or all are waiting for another one's answer"
        case _ if not is_known(trial.state):
            cause = f"a worker of a later version took it, and calls that {trial.state}"
        case _:
            assert_never(trial.state)
    return AlertTestResult(channel=trial.channel, outcome="no_answer", cause=f"{cause}; see the workers' logs")
