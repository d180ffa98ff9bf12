"""The nested objects in a request: resources, timeouts, retry, alerts and promotion."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_serializer,
    field_validator,
    model_validator,
)

from shared.alerts.model import AlertEvent
from shared.errors import FailureType
from shared.requests.texts import HOST_NAME, Direction, Metric, Word

SERVICE_FIELDS = {
    *("min_confidence", "slices", "on_unscorable", "different_data"),  # as in mypackage.gate.rules
    *("mode", "approve_below", "approval_days", "probation"),
}
APPROVAL_DAYS = 7
MEMORY = re.compile(r"^([0-9]{1,16}(?:\.[0-9]{1,9})?)\s*([kmgt]?)(i?b)?$", re.IGNORECASE)
MEMORY_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
MOST_BYTES = 2**50
MOST_GPUS = 64


class Strict(BaseModel):
    """A body from a client: it may contain only known fields, of exactly their types."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True, defer_build=True
    )


class Resources(Strict):
    """What one attempt may use."""

    gpus: StrictInt = Field(
        0, ge=0, le=MOST_GPUS, description="GPUs for the container; left out: the operator's DEFAULT_GPUS."
    )
    cpus: StrictFloat | None = Field(
        None, ge=0.01, le=1024, description="CPU cores at most; null for the host's default."
    )
    memory: StrictStr | None = Field(
        None, description="Memory at most, such as '512m' or '8g'; null for the host's default.", examples=["8g"]
    )

    host: Annotated[StrictStr, Field(pattern=HOST_NAME)] | None = Field(
        None, description="The one host that may run it, by its name in GET /workers; null for any.", examples=["gpu-1"]
    )
    host_labels: Annotated[frozenset[Word], Field(max_length=20)] = Field(
        frozenset(),
        description="Only hosts with all these labels may run it. What a worker finds out itself is a label, too: gpu "
        "where there are GPUs, else cpu.",
        examples=[["a100"]],
    )

    @field_serializer("host_labels")
    def _in_one_order(self, value: frozenset[str]) -> list[str]:
        return sorted(value)

    @field_validator("memory")
    @classmethod
    def _memory_is_a_size(cls, value: str | None) -> str | None:
        if value is not None and memory_bytes(value) < 6 * 2**20:
            raise ValueError("is less than 6m, the least that a container can have")
        return value


class Timeouts(Strict):
    """How long each step may take, in seconds; null for the service's default."""

    queue_seconds: StrictFloat | None = Field(None, gt=0, le=10**8, description="Each wait for a free slot.")
    run_seconds: StrictFloat | None = Field(None, gt=0, le=10**8, description="The training itself.")
    git_seconds: StrictFloat | None = Field(None, gt=0, le=86400, description="Fetching the source.")
    pull_seconds: StrictFloat | None = Field(None, gt=0, le=86400, description="Pulling the image.")


class Retry(Strict):
    """When another attempt follows a failed one; null for the service's default."""

    max_attempts: StrictInt | None = Field(None, ge=1, le=20, description="Attempts in all.")
    on: frozenset[FailureType] | None = Field(None, description="The types of failure that are tried again.")
    initial_delay_seconds: StrictFloat | None = Field(None, ge=0, le=86400, description="Backoff's first bound.")
    max_delay_seconds: StrictFloat | None = Field(None, ge=0, le=86400, description="Backoff's last bound.")

    @field_serializer("on")
    def _in_one_order(self, value: frozenset[FailureType] | None) -> list[FailureType] | None:
        """Sort the set, whose order differs between processes: the same request must give the same text."""
        return None if value is None else sorted(value)


class Alerts(Strict):
    """Where alerts of this job go, and which; null for the service's default."""

    to: Annotated[frozenset[Word], Field(max_length=20)] | None = Field(
        None,
        description="Names that the operator gave to webhooks, instead of the default ones (discord, webhook); empty "
        "for none. Never an address.",
        examples=[["team-a"]],
    )
    events: frozenset[AlertEvent] | None = Field(None, description="What is told of it.", examples=[["failed"]])

    @field_serializer("to", "events")
    def _in_one_order(self, value: frozenset[str] | None) -> list[str] | None:
        return None if value is None else sorted(value)


class Probation(Strict):
    """How a new champion must do in use: a worse observation makes the version before it champion again."""

    hours: StrictFloat = Field(gt=0, le=720, description="How long, from the move of the alias champion on.")
    metric: Metric | None = Field(
        None,
        description="What monitoring reports, as in POST /models/<model>/observations; null for the metric that "
        "decides.",
    )
    direction: Direction | None = Field(
        None, description="Which values of it are better; null for those of the metric that decides."
    )
    max_worsening: StrictFloat = Field(
        ge=0,
        description="By how much an observation may be worse than the value that the gate decided by. Another metric "
        "is compared with the mean of what was observed of the champion before, in as many hours before the move.",
    )


class Promotion(Strict):
    """By which rules the new model may become champion; null for what train.py says. Takes precedence over train.py."""

    metric: Metric | None = Field(None, description="The logged metric that decides.")
    direction: Direction | None = Field(None, description="Which values of it are better.")
    min_delta: StrictFloat | None = Field(
        None, ge=0, description="Promoted only if better than the champion by more than this."
    )
    min_value: StrictFloat | None = Field(
        None, description="The worst value that is promoted: a least or, where lower is better, a most."
    )
    guardrails: dict[Metric, Annotated[StrictFloat, Field(ge=0)]] = Field(
        default_factory=dict, max_length=10, description="Other logged metrics, and by how much each may become worse."
    )
    guardrail_directions: dict[Metric, Direction] = Field(
        default_factory=dict,
        max_length=10,
        description="Which values of a guarded metric are better, where not as for the metric that decides.",
    )
    min_confidence: StrictFloat | None = Field(
        None,
        ge=0.5,
        lt=1,
        description="With this confidence, the gain on the same data must be more than min_delta, such as 0.95; null "
        "for no such rule. Needs the entry point evaluate.",
    )
    slices: dict[Metric, Annotated[StrictFloat, Field(ge=0)]] = Field(
        default_factory=dict,
        max_length=10,
        description="Columns of the scores that evaluate wrote, and by how much the metric may become worse among the "
        "examples with any one value in it.",
    )
    on_unscorable: Literal["refuse", "logged"] | None = Field(
        None,
        description="What happens if champion or new model cannot be scored on the same data: refused (so if null), or "
        "compared by the logged values.",
    )
    different_data: Literal["refuse", "note"] | None = Field(
        None,
        description="What follows if the evaluation data of both models is stated and differs: the new one is refused "
        "(so if null), or the reason notes it.",
    )
    mode: Literal["auto", "approve"] | None = Field(
        None,
        description="approve: a better model waits until a person approves it (`retrain approve`); auto, or null, does "
        "not.",
    )
    approve_below: StrictFloat | None = Field(
        None, gt=0, description="A better model waits for approval if it is better by less than this."
    )
    approval_days: StrictFloat | None = Field(
        None, gt=0, le=365, description="How long it waits for approval, before it stays without the alias; null for 7."
    )

    probation: Probation | None = Field(
        None,
        description="A time in which the champion before comes back if monitoring reports that the new one does badly; "
        "null for none.",
        examples=[{"hours": 48, "max_worsening": 0.05}],
    )

    @model_validator(mode="after")
    def _directions_are_of_guardrails(self) -> "Promotion":
        if strangers := sorted(set(self.guardrail_directions) - set(self.guardrails)):
            raise ValueError(f"has a direction for {', '.join(strangers)}, but no guardrail")
        return self

    @property
    def as_variable(self) -> str:
        """Return what the training gets: only its fields that were sent, as JSON; empty if none were.

        Copies of mypackage in older images refuse fields that they do not know, so those of the service stay here.
        """
        return json.dumps(sent) if (sent := self.model_dump(exclude_defaults=True, exclude=SERVICE_FIELDS)) else ""

    @property
    def as_rules(self) -> dict[str, Any]:
        """Return the fields that were sent, as mypackage.gate.rules takes them."""
        return self.model_dump(exclude_defaults=True)

    def approval_seconds(self, gain: float | None) -> float | None:
        """Return how long a model that is better by this waits for approval; None if it needs none.

        ``gain`` is None if it is not known, as without a champion: then a person looks, where one may be asked at all.
        """
        is_small = self.approve_below is not None and (gain is None or gain < self.approve_below)
        return (self.approval_days or APPROVAL_DAYS) * 86400 if self.mode == "approve" or is_small else None


def memory_bytes(value: str) -> int:
    """Return the bytes of a size such as '512m' or '8g' (powers of 1024)."""
    match = MEMORY.match(value.strip())
    if match is None:
        raise ValueError("is not a size; use a number and a unit, such as 512m or 8g")
    count = int(float(match[1]) * MEMORY_UNITS[match[2].lower()])
    if count > MOST_BYTES:
        raise ValueError("is more than 1024t")
    return count
