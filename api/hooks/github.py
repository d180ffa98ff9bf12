"""GitHub's webhooks: https://docs.github.com/webhooks/webhook-events-and-payloads#push."""

from api.hooks.proofs import hex_signature, is_old
from api.hooks.pushes import Delivery, names_of, push_in
from api.hooks.sent import Sent, text_at, value_at
from api.http.json_request import parse_large_object

SIGNED_IN = ("X-Hub-Signature-256",)
ADDRESSES = ("clone_url", "ssh_url", "html_url", "git_url")
OLDEST_SECONDS = 7 * 86400  # GitHub delivers again, by hand, for three days


def read(sent: Sent) -> Delivery:
    """Return what was sent. The key is the body's: the delivery's id is not signed, so anybody could make one up."""
    payload = parse_large_object(sent.body)
    event, pushed_at = sent.header("X-GitHub-Event"), value_at(payload, "repository", "pushed_at")
    push, nothing = None, f"it is the event {event[:50]!r}, not a push"
    if event == "push":
        push, nothing = push_in(payload, by=text_at(payload, "pusher", "name") or text_at(payload, "sender", "login"))
    old = type(pushed_at) is int and push is not None and is_old(str(pushed_at), sent.at, seconds=OLDEST_SECONDS)
    return Delivery(
        key=f"github:{sent.body_hash}",
        proofs=hex_signature(sent, SIGNED_IN[0], prefix="sha256=", is_old=old),
        repositories=names_of(value_at(payload, "repository", each) for each in ADDRESSES),
        push=push,
        nothing="ping" if event == "ping" else nothing,
    )
