"""MLflow's webhooks about its model registry, signed as mlflow.webhooks.delivery does it."""

from dataclasses import dataclass

from api.hooks.proofs import Proof, timed_signature
from api.hooks.sent import Sent, digest, text_at
from api.http.json_request import parse_large_object

SIGNED_IN = ("X-MLflow-Signature",)
EVENTS = {"model_version.created": "version_created", "model_version_alias.created": "alias_moved"}
LONGEST_NAME = 256


@dataclass(frozen=True)
class RegistryChange:
    """A version that was created, or an alias that was set."""

    event: str  # as RegistryChanged.event
    model: str
    version: str
    alias: str


@dataclass(frozen=True)
class RegistryDelivery:
    """What MLflow sent. Without a change, ``nothing`` says what it was instead."""

    key: str
    proofs: tuple[Proof, ...]
    change: RegistryChange | None
    nothing: str = ""


def read(sent: Sent) -> RegistryDelivery:
    """Return what was sent. The key is the delivery's id, which is signed and stays when MLflow tries again."""
    payload = parse_large_object(sent.body)
    named = f"{text_at(payload, 'entity')}.{text_at(payload, 'action')}"
    id_ = "X-MLflow-Delivery-Id"
    change = None
    if named in EVENTS:
        model = text_at(payload, "data", "name", longest=LONGEST_NAME)
        version, alias = text_at(payload, "data", "version"), text_at(payload, "data", "alias", longest=LONGEST_NAME)
        change = RegistryChange(EVENTS[named], model, version, alias)
    return RegistryDelivery(
        key=f"mlflow:{digest(sent.body, sent.header(id_))}",
        proofs=timed_signature(sent, signature=SIGNED_IN[0], timestamp="X-MLflow-Timestamp", id_=id_),
        change=change,
        nothing="" if change else f"it is the event {named[:60]!r}, not a new version or an alias that was set",
    )
