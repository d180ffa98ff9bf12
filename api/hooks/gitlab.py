"""GitLab's webhooks: https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events.

A hook has a secret token, which comes as it is, or a signing token (whsec_…), by which it signs as Standard Webhooks
have it.
"""

from typing import Any

from api.hooks.proofs import Bearer, Proof, standard_key, timed_signature
from api.hooks.pushes import Delivery, names_of, push_in
from api.hooks.sent import Sent, digest, text_at, value_at
from api.http.json_request import parse_large_object

TOKEN, SIGNATURE = "X-Gitlab-Token", "webhook-signature"
SIGNED_IN = (TOKEN, SIGNATURE)
ADDRESSES = ("git_http_url", "git_ssh_url", "http_url", "ssh_url", "web_url")


def read(sent: Sent) -> Delivery:
    """Return what was sent.

    The key is the delivery's, which GitLab keeps when it tries again. It is signed, or comes from somebody who has the
    token and could send anything. The body alone is not enough: a branch may be set back, and pushed to again.
    """
    payload = parse_large_object(sent.body)
    event = text_at(payload, "object_kind") or text_at(payload, "event_name")  # system hooks have only the second
    push, nothing = None, f"it is the event {event[:50]!r}, not a push"
    if event == "push":
        push, nothing = push_in(payload, by=text_at(payload, "user_username") or text_at(payload, "user_name"))
    signed = timed_signature(
        sent, signature=SIGNATURE, timestamp="webhook-timestamp", id_="webhook-id", key_of=standard_key
    )
    return Delivery(
        key=f"gitlab:{_key(sent, is_signed=bool(signed))}",
        proofs=(*signed, *_token(sent)),
        repositories=names_of(_addresses(payload)),
        push=push,
        nothing=nothing,
    )


def _key(sent: Sent, *, is_signed: bool) -> str:
    names = ("webhook-id",) if is_signed else ("Idempotency-Key", "X-Gitlab-Event-UUID")
    return digest(sent.body, next(filter(None, map(sent.header, names)), ""))


def _token(sent: Sent) -> tuple[Proof, ...]:
    return (Bearer(sent.header(TOKEN)),) if sent.header(TOKEN) else ()


def _addresses(payload: dict[str, Any]) -> list[Any]:
    return [value_at(payload, part, each) for part in ("project", "repository") for each in ADDRESSES]
