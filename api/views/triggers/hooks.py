"""POST /hooks/<sender> and POST /triggers/<name>/signal: what starts retrainings from outside."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from flask import request
from pydantic import BaseModel, Field

from api.access.authorisation import refusal
from api.hooks import gitea, github, gitlab, registry_changes, signalling
from api.hooks.receiving import Result, receive_change, receive_push
from api.hooks.sent import Sent
from api.hooks.signalling import is_proven, receive_signal
from api.http.errors import NotASignal, NotSigned
from api.http.json_request import JsonRequest
from api.http.models import AnswerBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from shared.access.roles import Right
from shared.errors import TriggerNotFound
from shared.jobs.triggers import Outcome


class SignalPath(BaseModel):
    """Which trigger."""

    name: str = Field(description="The trigger's name.")


class ReportedEvent(AnswerBody):
    """What became of it at one trigger."""

    trigger: str
    outcome: Outcome = Field(description="waiting: a worker decides about it by the trigger's policy.")
    reason: str
    event: int | None = Field(None, description="Its number in the trigger's events; null if it is not recorded.")


class HookAnswer(AnswerBody):
    """What became of what was sent, at each trigger whose secret the sender knows."""

    triggers: Sequence[ReportedEvent]
    nothing: str = Field("", description="Why it concerns none: a ping, a tag, a branch that was deleted.")


RECEIVED = Answer("What became of it.", HookAnswer)


def now() -> datetime:
    """Return the time by which what was signed may be old."""
    return datetime.now(UTC)


def _sent() -> Sent:
    return Sent(request.headers, cast(JsonRequest, request).json_bytes(), now())


def _signed(headers: Sequence[str]) -> Sent:
    """Return what was sent, read only if it may be signed."""
    if not any(name in request.headers for name in headers):
        raise NotSigned(f"It is not signed: it has no header {' or '.join(headers)}. Give the webhook a secret.")
    return _sent()


def _answer(found: tuple[Sequence[Result], str]) -> HookAnswer:
    results, nothing = found
    return HookAnswer(triggers=[ReportedEvent.model_validate(each) for each in results], nothing=nothing)


@operation(
    "POST /hooks/github",
    RECEIVED,
    tag=Tag.TRIGGERS,
    raises=[NotSigned],
    needs=None,
    signed_in=github.SIGNED_IN,
)
def receive_from_github() -> HookAnswer:
    """Take a push from GitHub.

    Set up a webhook with this address, the content type application/json and the trigger's secret. Triggers of the kind
    `git` whose repository and branch fit train the commit that was pushed. Tags, deleted branches and other events
    start nothing. The same push again answers what became of it the first time. A push of more than a week ago is
    refused.
    """
    sent = _signed(github.SIGNED_IN)
    return _answer(receive_push(services().receiver, sent, github.read(sent)))


@operation(
    "POST /hooks/gitlab",
    RECEIVED,
    tag=Tag.TRIGGERS,
    raises=[NotSigned],
    needs=None,
    signed_in=gitlab.SIGNED_IN,
)
def receive_from_gitlab() -> HookAnswer:
    """Take a push from GitLab.

    As from GitHub. Give the webhook the trigger's secret as its secret token or, better, make the trigger's secret one
    that GitLab can sign with: whsec_ and 32 bytes in base64, as its signing token. What is signed is refused when it is
    older than five minutes.
    """
    sent = _signed(gitlab.SIGNED_IN)
    return _answer(receive_push(services().receiver, sent, gitlab.read(sent)))


@operation(
    "POST /hooks/gitea",
    RECEIVED,
    tag=Tag.TRIGGERS,
    raises=[NotSigned],
    needs=None,
    signed_in=gitea.SIGNED_IN,
)
def receive_from_gitea() -> HookAnswer:
    """Take a push from Gitea or Forgejo.

    As from GitHub, with a webhook of the type Gitea or Forgejo, POST, application/json.
    """
    sent = _signed(gitea.SIGNED_IN)
    return _answer(receive_push(services().receiver, sent, gitea.read(sent)))


@operation(
    "POST /hooks/mlflow",
    RECEIVED,
    tag=Tag.TRIGGERS,
    raises=[NotSigned],
    needs=None,
    signed_in=registry_changes.SIGNED_IN,
)
def receive_from_mlflow() -> HookAnswer:
    """Take a change of MLflow's model registry.

    Create a webhook in MLflow with this address, the trigger's secret and the events `model_version.created` or
    `model_version_alias.created`. Triggers of the kind `registry` whose model and event fit start a retraining. What is
    older than five minutes is refused.
    """
    sent = _signed(registry_changes.SIGNED_IN)
    return _answer(receive_change(services().receiver, sent, registry_changes.read(sent)))


@operation(
    "POST /triggers/<name>/signal",
    Answer("What became of it.", ReportedEvent),
    tag=Tag.TRIGGERS,
    needs=Right.SUBMIT,
    raises=[NotSigned, TriggerNotFound, NotASignal],
    signed_in=signalling.SIGNED_IN,
    body_examples={"measurement": {"value": {"metric": "drift_share", "value": 0.31}}},
)
def signal_trigger(path: SignalPath) -> ReportedEvent:
    """Tell a trigger of the kind `signal` that it is time.

    Send a notification of Alertmanager or Grafana, a report of Evidently as JSON, or a number as
    `{"metric": "drift_share", "value": 0.31}`. A number or report fires if it lies beyond the trigger's bound, or if
    the trigger has none; an alert fires when it begins, once, and not when it is resolved.

    Authenticate with a token of the API, with the trigger's secret as bearer token, or by a signature of the body: in
    `X-Hub-Signature-256` as GitHub writes it, or as Grafana signs, whose timestamp header, if it is set up, must be
    X-Grafana-Alerting-Timestamp.

    A number or report that is sent again within a minute, or with the same `Idempotency-Key`, counts once. If it is
    signed, the same body counts once whenever it comes: put the time into it.
    """
    unproven = refusal()
    if unproven is not None and not is_proven(request.headers):
        raise unproven
    result = receive_signal(services().receiver, path.name, _sent(), refusal=unproven)
    return ReportedEvent.model_validate(result)
