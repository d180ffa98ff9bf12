"""The fields of a trigger that its author writes: when it fires, and by which policy. Strict, as requests are."""

import re
from datetime import datetime, time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from shared.addresses.dataset_address import find_repository, parse_dataset_address
from shared.jobs.triggers import Kind
from shared.requests.parts import Strict
from shared.requests.texts import Metric, ModelName, Text, Word

LONGEST_SECONDS = 366 * 86400
SECONDS_OF_A_LOOK = 600
COMMIT = re.compile(r"^[0-9a-f]{7,40}$")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _a_cron_expression(value: str) -> str:
    try:
        next(CronSim(value, datetime(2000, 1, 1)), None)  # noqa: DTZ001 - only whether it can be read
    except CronSimError as error:
        raise ValueError(
            f"is not a cron expression ({error}); write minute, hour, day of month, month and day of week, as in "
            "'30 2 * * *' or '0 4 L * *'"
        ) from None
    return value


def _a_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
        raise ValueError("is not a time zone of the IANA database; write one such as UTC or Europe/Berlin") from None
    return value


def _hours(value: str) -> str:
    first, _, last = value.partition("-")
    try:
        begins, ends = time.fromisoformat(first), time.fromisoformat(last)
    except ValueError:
        raise ValueError("is not a span of hours; write one such as 22:00-06:00") from None
    if begins.tzinfo or ends.tzinfo:
        raise ValueError("has an offset; write the hours as in 22:00-06:00, and their zone in time_zone")
    if begins == ends:
        raise ValueError("is empty; leave hours out for the whole day")
    return value


TimeZone = Annotated[StrictStr, Field(max_length=64), AfterValidator(_a_time_zone)]
CronExpression = Annotated[StrictStr, Field(max_length=200), AfterValidator(_a_cron_expression)]
Pattern = Annotated[Text, Field(min_length=1, max_length=500)]
Bound = Annotated[StrictFloat | StrictInt, Field(ge=-1e100, le=1e100)]


class DatasetMoved(Strict):
    """The data changed: its branch moved, its file was replaced, or something in its folder did."""

    address: Annotated[StrictStr, Field(max_length=2048)] | None = Field(
        None,
        description="What to look at: a git or DVC repository as in dataset_repo, an http(s) file, "
        "azure://account/container/prefix, or file:///folder below the operator's TRIGGER_FOLDERS. Null for the "
        "template's dataset_repo.",
        examples=["https://github.com/user/iris-data.git@main"],
    )
    look_every_seconds: StrictInt = Field(
        SECONDS_OF_A_LOOK, ge=10, le=LONGEST_SECONDS, description="How often a worker looks."
    )


class Push(Strict):
    """Somebody pushed: sent by the git host to POST /hooks/github, /hooks/gitlab or /hooks/gitea."""

    repository: Pattern = Field(
        description="The repository as host/owner/name; * stands for any characters.",
        examples=["github.com/user/iris"],
    )
    branches: Annotated[frozenset[Pattern], Field(min_length=1, max_length=50)] = Field(
        frozenset({"*"}), description="Branches; * stands for any characters.", examples=[["main", "release/*"]]
    )


class RegistryChanged(Strict):
    """MLflow's registry changed: sent by MLflow's own webhook to POST /hooks/mlflow."""

    model: Pattern = Field(description="The registered model; * stands for any characters.", examples=["embeddings"])
    event: Literal["version_created", "alias_moved"] = Field(
        "version_created", description="A version was created, or an alias was set."
    )
    alias: Annotated[Text, Field(min_length=1, max_length=250)] | None = Field(
        None, description="Which alias; null for any."
    )


class JobSucceeded(Strict):
    """A job of another trigger, or one that made a version of another model, has succeeded."""

    trigger: Word | None = Field(None, description="Of this trigger.")
    model: ModelName | None = Field(None, description="With this model_name.", examples=["embeddings"])

    @model_validator(mode="after")
    def _says_which(self) -> "JobSucceeded":
        if (self.trigger is None) == (self.model is None):
            raise ValueError("names a trigger or a model, one of both")
        return self


class _Bounds(Strict):
    below: Bound | None = Field(None, description="Fires for a value below it.")
    above: Bound | None = Field(None, description="Fires for a value above it.", examples=[0.2])

    @model_validator(mode="after")
    def _one_bound(self) -> "_Bounds":
        if self.below is not None and self.above is not None:
            raise ValueError("has below and above; give one of them")
        return self

    def is_broken_by(self, value: float) -> bool:
        """Return whether the value lies beyond the bound."""
        return (self.below is not None and value < self.below) or (self.above is not None and value > self.above)


class Signalled(_Bounds):
    """Something outside sends POST /triggers/<name>/signal: Alertmanager, Grafana, Evidently, or a program of yours."""

    metric: Metric | None = Field(
        None, description="Which metric of a signal {metric, value} counts; null for any.", examples=["drift_share"]
    )


class Observed(_Bounds):
    """What monitoring reports of a champion (POST /models/<model>/observations) lies beyond a bound."""

    model: ModelName = Field(description="The registered model.", examples=["iris-classifier"])
    metric: Metric = Field(description="What is observed.", examples=["accuracy"])

    @model_validator(mode="after")
    def _has_a_bound(self) -> "Observed":
        if self.below is None and self.above is None:
            raise ValueError("has no bound; give below or above")
        return self


class When(Strict):
    """When a trigger fires: exactly one kind."""

    cron: CronExpression | None = Field(
        None,
        description="At these times: minute, hour, day of month, month, day of week; names, lists, steps, L for the "
        "last day. As in Debian's cron, a fixed time that a change of clocks skips comes right after it, and one that "
        "comes twice counts once.",
        examples=["30 2 * * *"],
    )
    every: Annotated[StrictInt, Field(ge=10, le=LONGEST_SECONDS)] | None = Field(
        None, description="Every so many seconds, counted from the trigger's creation."
    )
    time_zone: TimeZone = Field("UTC", description="Of the times of cron.", examples=["Europe/Berlin"])
    dataset: DatasetMoved | None = None
    git: Push | None = None
    registry: RegistryChanged | None = None
    job: JobSucceeded | None = None
    signal: Signalled | None = None
    observations: Observed | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "When":
        given = [kind for kind in Kind if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"has {' and '.join(given) or 'none of the kinds'}; give exactly one of {', '.join(Kind)}")
        if self.time_zone != "UTC" and self.cron is None:
            raise ValueError("has time_zone, which is of cron only")
        return self

    @property
    def kind(self) -> Kind:
        """Return which one it is."""
        return next(kind for kind in Kind if getattr(self, kind) is not None)


class Window(Strict):
    """When it may fire, in the policy's time zone."""

    hours: Annotated[StrictStr, Field(max_length=20), AfterValidator(_hours)] | None = Field(
        None, description="From-to; over midnight too. Null for the whole day.", examples=["22:00-06:00"]
    )
    days: Annotated[frozenset[Day], Field(min_length=1)] | None = Field(
        None, description="Days on which the hours begin. Null for all.", examples=[["mon", "sat"]]
    )


class Policy(Strict):
    """What keeps an occurrence from becoming a job. A tick that may not fire is skipped; anything else waits."""

    cooldown: StrictFloat | StrictInt = Field(
        0, ge=0, le=LONGEST_SECONDS, description="Seconds between two firings at least."
    )
    skip_if_same_inputs: StrictBool = Field(
        False,
        description="Skip it if commit, data, base model and the rest of the request are those of the trigger's last "
        "success.",
    )
    if_running: Literal["skip", "queue", "cancel_older"] | None = Field(
        None,
        description="While a job of the trigger has not ended: skip this one, submit it too, or cancel that one. Null "
        "for skip with cron and every, and queue with the rest.",
    )
    window: Window | None = Field(None, description="When it may fire; null for always.")
    max_per_day: Annotated[StrictInt, Field(ge=1, le=10000)] | None = Field(
        None, description="Firings between two midnights at most."
    )
    time_zone: TimeZone = Field("UTC", description="Of window and max_per_day.", examples=["Europe/Berlin"])
    jitter: StrictFloat | StrictInt = Field(
        0,
        ge=0,
        le=86400,
        description="Wait up to so many seconds, drawn from the trigger's name and the occurrence, so that many "
        "triggers of one time do not start together.",
    )
    catch_up: Literal["none", "once"] = Field(
        "none", description="After an outage: leave the times that were missed, or fire once for all of them."
    )
    disable_after: Annotated[StrictInt, Field(ge=1, le=100)] | None = Field(
        None, description="Pause the trigger after so many failed jobs in a row, and tell it."
    )


def check_address(value: str) -> None:
    """Raise ValueError if a dataset's address cannot be one that is looked at, or never changes."""
    if "://" not in value:
        raise ValueError("is a name, not an address that can be looked at")
    if not value.startswith(("azure://", "file://")):
        parse_dataset_address(value)
    repository = find_repository(value)
    if repository and COMMIT.match(repository.rev):
        raise ValueError(f"names a commit, which never changes; name a branch, as in {repository.url}@main")
