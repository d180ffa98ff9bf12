"""The webhooks of Gitea and Forgejo: https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks."""

from api.hooks.proofs import hex_signature
from api.hooks.pushes import Delivery, names_of, push_in
from api.hooks.sent import Sent, text_at, value_at
from api.http.json_request import parse_large_object

SIGNED_IN = ("X-Gitea-Signature", "X-Forgejo-Signature")
ADDRESSES = ("clone_url", "ssh_url", "html_url")


def read(sent: Sent) -> Delivery:
    """Return what was sent. The key is the body's: the delivery's id is not signed, so anybody could make one up."""
    payload = parse_large_object(sent.body)
    event = sent.header("X-Gitea-Event") or sent.header("X-Forgejo-Event")
    push, nothing = None, f"it is the event {event[:50]!r}, not a push"
    if event == "push":
        push, nothing = push_in(payload, by=text_at(payload, "pusher", "login") or text_at(payload, "sender", "login"))
    return Delivery(
        key=f"gitea:{sent.body_hash}",
        proofs=tuple(proof for name in SIGNED_IN for proof in hex_signature(sent, name)),
        repositories=names_of(value_at(payload, "repository", each) for each in ADDRESSES),
        push=push,
        nothing=nothing,
    )
