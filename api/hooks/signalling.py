"""Takes a signal of one trigger: from whoever has a token of the API, or who knows the trigger's secret."""

from werkzeug.datastructures import Headers

from api.access.finding import find_trigger
from api.hooks.proofs import Bearer, Proof, hex_signature, is_old
from api.hooks.receiving import NOT_SIGNED, Receiver, Result
from api.hooks.sent import Sent, digest
from api.hooks.signals import alerts, evidently, measurements
from api.hooks.signals.signal import Quiet, Signal, not_a_signal
from api.http.errors import NotASignal, NotSigned, Refusal
from api.http.json_request import parse_large_object
from shared.access.acts import acting_as
from shared.access.callers import signer
from shared.jobs.triggers import Kind, Occurrence, Outcome, Verdict
from shared.triggers.fields import Signalled
from shared.triggers.records import when_of

SIGNATURE, GRAFANA, GRAFANA_TIME = "X-Hub-Signature-256", "X-Grafana-Alerting-Signature", "X-Grafana-Alerting-Timestamp"
SIGNED_IN = (SIGNATURE, GRAFANA)
BEARER = "bearer "


def is_proven(headers: Headers) -> bool:
    """Return whether a request has something that may prove who sent it."""
    return any(name in headers for name in SIGNED_IN) or headers.get("Authorization", "").lower().startswith(BEARER)


def receive_signal(by: Receiver, name: str, sent: Sent, *, refusal: Refusal | None) -> Result:
    """Report a signal; ``refusal`` is why the sender has to know the trigger's secret: it has no token of the API.

    Raises NotSigned, which does not tell whether there is such a trigger; for those with a token TriggerNotFound and
    NotASignal.
    """
    if refusal is None:
        when = _wanted_by(by, name)
        return _reported(by, name, sent, _read(sent, when, is_signed=False))
    when, is_signed = _wanted_by_secret(by, name, sent)
    with acting_as(signer(name)):
        return _reported(by, name, sent, _read(sent, when, is_signed=is_signed))


def _wanted_by(by: Receiver, name: str) -> Signalled:
    trigger = find_trigger(by.store, name)
    if (when := when_of(trigger.when).signal) is None:
        raise NotASignal(f"Trigger {name!r} is of the kind {trigger.kind}: it takes no signals.")
    return when


def _wanted_by_secret(by: Receiver, name: str, sent: Sent) -> tuple[Signalled, bool]:
    """Return what the trigger waits for, and whether only a signature proves that the sender knows its secret."""
    for trigger, sealed in by.store.hook_secrets(Kind.SIGNAL):
        when = when_of(trigger.when).signal
        if trigger.name == name and when is not None:
            if not by.proven(_token(sent), sealed):
                return when, False
            if not (problem := by.proven(_signatures(sent), sealed)):
                return when, True
            by.refusals.note(name, Occurrence("", sent.at), problem)
    raise NotSigned(NOT_SIGNED)


def _token(sent: Sent) -> tuple[Proof, ...]:
    said = sent.header("Authorization")
    return (Bearer(said[len(BEARER) :].strip()),) if said.lower().startswith(BEARER) else ()


def _signatures(sent: Sent) -> tuple[Proof, ...]:
    return (*hex_signature(sent, SIGNATURE, prefix="sha256="), *_of_grafana(sent))


def _of_grafana(sent: Sent) -> tuple[Proof, ...]:
    """Return Grafana's signature: of ``timestamp:body`` if it is set up to send a timestamp, otherwise of the body."""
    time = sent.header(GRAFANA_TIME)
    head = f"{time}:".encode("latin-1", "replace") if time else b""
    signed = Sent(sent.headers, head + sent.body, sent.at)
    return hex_signature(signed, GRAFANA, is_old=bool(time) and is_old(time, sent.at))


def _read(sent: Sent, when: Signalled, *, is_signed: bool) -> Signal | Quiet:
    payload = parse_large_object(sent.body)
    match payload:
        case {"alerts": list()}:
            return alerts.read(payload, when)
        case {"metric": _, "value": _}:
            return measurements.read(payload, when, _key(sent, is_signed=is_signed))
        case {"metrics": list()} | {"tests": list()}:
            return evidently.read(payload, when, _key(sent, is_signed=is_signed))
    raise not_a_signal(
        "The body is neither an alert of Alertmanager or Grafana, nor a report of Evidently, nor "
        '{"metric": "drift_share", "value": 0.31}.'
    )


def _key(sent: Sent, *, is_signed: bool) -> str:
    """Return what stays the same when a number or a report is sent again.

    From who has a token: its Idempotency-Key; without one, the body and the minute, as numbers are equal now and then.
    Signed: the body alone, because anybody who saw it could send it again with another key, or in another minute. Who
    signs numbers puts something that differs into them, such as the time.
    """
    if is_signed:
        return f"signed:{sent.body_hash}"
    if said := sent.header("Idempotency-Key"):
        return f"key:{digest(said)}"
    return f"minute:{digest(sent.body, f'{sent.at:%Y-%m-%dT%H:%M}')}"


def _reported(by: Receiver, name: str, sent: Sent, found: Signal | Quiet) -> Result:
    if isinstance(found, Quiet):
        noted = Verdict(Outcome.SKIPPED, found.reason)
        return Result.of(by.store.report(name, Occurrence("", sent.at), noted=noted))
    return Result.of(by.store.report(name, Occurrence(found.key, sent.at, "", found.facts), besides=found.besides))
