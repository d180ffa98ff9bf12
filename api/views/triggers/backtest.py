"""POST /triggers/backtest: what policies would have started."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StrictFloat, StrictInt, model_validator

from api.access.authorisation import team_seen
from api.access.finding import find_trigger
from api.http.errors import FieldError, InvalidRequest
from api.http.models import AnswerBody, RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.schemas import Timestamp
from api.services import services
from api.triggers.backtesting import Asked, read_past
from api.views.models.observations import Moment
from shared.access.roles import Right
from shared.errors import TriggerNotFound
from shared.jobs.triggers import Outcome
from shared.requests.retrain_request import RetrainRequest
from shared.requests.texts import Text, Word
from shared.triggers import backtest as simulated
from shared.triggers.backtest import Change, TooManyOccurrences
from shared.triggers.fields import Policy, When
from shared.triggers.new_jobs import with_gpus
from shared.triggers.records import policy_of, when_of
from shared.triggers.timeline_picture import timeline_picture

MOST_POLICIES = 8
MOST_CHANGES = 5000
MOST_DAYS = 366
MARKS_SHOWN = 1000
ITS_OWN = "policy"  # the name of the policy that is given without one


class ChangeThen(RequestBody):
    """A change of the data or the code."""

    at: Moment
    revision: Annotated[Text, Field(min_length=1, max_length=200)] = Field(examples=["4f2a9c1"])
    of: Literal["data", "code"] = "data"


class BacktestRequest(RequestBody):
    """A trigger, and the policies to compare."""

    trigger: Word | None = Field(
        None, description="Its name. Without template and when, those of the recorded trigger are used, and its policy."
    )
    template: RetrainRequest | None = Field(
        None,
        description="As in POST /triggers; nothing is submitted.",
        examples=[{"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git"}],
    )
    when: When | None = Field(None, examples=[{"cron": "30 2 * * *"}])
    policy: Policy | None = Field(None, description="Its policy; null for the recorded one, else for one of defaults.")
    policies: dict[Word, Policy] = Field(
        default_factory=dict,
        max_length=MOST_POLICIES,
        description="Others to compare, by names of your own.",
        examples=[{"weekly": {"cooldown": 604800}}],
    )
    since: Moment = Field(description=f"Since this RFC 3339 time, at most {MOST_DAYS} days ago.")
    changes: list[ChangeThen] = Field(
        default_factory=list,
        max_length=MOST_CHANGES,
        description="When data or code changed, also the last time before `since`. What is not sent is taken from the "
        "commits and data that past jobs trained on.",
    )
    job_seconds: Annotated[StrictFloat | StrictInt, Field(ge=0, le=10**8)] | None = Field(
        None, description="What a job takes; null for the median of those that succeeded."
    )

    @model_validator(mode="after")
    def _says_which(self) -> "BacktestRequest":
        if (self.template is None) != (self.when is None):
            raise ValueError("has only one of template and when; give both, or the name of a recorded trigger")
        if self.template is None and self.trigger is None:
            raise ValueError("names no trigger; give trigger, or template and when")
        return self


class MarkThen(AnswerBody):
    """What would have become of an occurrence."""

    at: Timestamp
    outcome: Outcome
    rule: str = Field(description="The policy's field that decided; empty if none did.")
    reason: str


class PolicyResult(AnswerBody):
    """What would have come of one policy."""

    jobs: int
    cancelled: int = Field(description="Of these, by cancel_older.")
    skipped: Mapping[str, int] = Field(description="Occurrences that would have been skipped, by the policy's field.")
    waited: Mapping[str, int] = Field(description="Occurrences that would have waited, by the policy's field.")
    superseded: int = Field(description="Occurrences that a later one would have replaced while they waited.")
    still_waiting: int
    gpu_hours: float | None = Field(description="Null if no past job says how long one takes.")
    cpu_hours: float | None = Field(description="Null for the same, or if the template does not say how many CPUs.")
    longest_without_change_seconds: float | None = Field(
        description="The longest time from a change of the data to the end of the job that trained on it; null if no "
        "change is known."
    )
    oldest_data_seconds: float = Field(
        description="The age that the data of the newest model would have reached, from the start of its job."
    )
    timeline: Sequence[MarkThen] = Field(description=f"The newest {MARKS_SHOWN}, the oldest of them first.")


class Backtest(AnswerBody):
    """What policies would have started."""

    since: Timestamp
    until: Timestamp
    job_seconds: float | None = Field(description="What a job takes here; null if that is unknown: no time at all.")
    gpus: float
    cpus: float | None
    data_changes: int = Field(description="Changes of the data that are known, also from past jobs.")
    code_changes: int
    policies: Mapping[str, PolicyResult]
    picture: str = Field(description="The same as a picture: SVG.")


@operation(
    "POST /triggers/backtest",
    Answer("The comparison.", Backtest),
    tag=Tag.TRIGGERS,
    needs=Right.READ,
    raises=[TriggerNotFound],
)
def backtest_trigger(body: BacktestRequest) -> Backtest:
    """Tell how many jobs a trigger would have started since then, under its policy and under others.

    The times of `cron` and `every` follow from the condition; changes of data and code are sent, or taken from past
    jobs. What came to a recorded trigger of another kind comes again. Every policy decides as it does in service, with
    workers that look at once, and jobs that all succeed, take equally long, and run one after the other.
    """
    asked, own = _asked(body)
    past = read_past(asked, services().store)
    try:
        results = {name: asked.try_policy(policy, past) for name, policy in {ITS_OWN: own, **body.policies}.items()}
    except TooManyOccurrences as error:
        raise _refused(f"since is too long ago: the trigger {error}; choose a later time") from None
    return Backtest(
        since=past.since,
        until=past.until,
        job_seconds=past.job_seconds,
        gpus=past.gpus,
        cpus=past.cpus,
        data_changes=len(past.data),
        code_changes=len(past.code),
        policies={name: _shown(result) for name, result in results.items()},
        picture=timeline_picture(f"Backtest of {asked.name}", past.since, past.until, results),
    )


def _asked(body: BacktestRequest) -> tuple[Asked, Policy]:
    """Return what the past is asked about, and the trigger's own policy."""
    until = datetime.now(UTC)
    if not until - timedelta(days=MOST_DAYS) <= body.since < until:
        raise _refused(f"since is not within the last {MOST_DAYS} days")
    recorded = find_trigger(services().store, body.trigger) if body.trigger and body.template is None else None
    template = body.template or RetrainRequest.from_record(recorded.template if recorded else {})
    asked = Asked(
        name=body.trigger or template.experiment_name,
        template=with_gpus(template, services().settings.default_gpus),
        when=body.when or when_of(recorded.when if recorded else {}),
        since=body.since,
        until=until,
        data=_sent(body, "data"),
        code=_sent(body, "code"),
        job_seconds=body.job_seconds,
        team=team_seen(),
        is_recorded=recorded is not None,
    )
    return asked, body.policy or (policy_of(recorded.policy) if recorded else Policy())


def _sent(body: BacktestRequest, of: str) -> Sequence[Change]:
    found = (Change(each.at, each.revision) for each in body.changes if each.of == of)
    return sorted(found, key=lambda change: change.at)


def _shown(result: simulated.Backtested) -> PolicyResult:
    shown = {name: getattr(result, name) for name in PolicyResult.model_fields if name != "timeline"}
    return PolicyResult(**shown, timeline=[MarkThen.model_validate(each) for each in result.timeline[-MARKS_SHOWN:]])


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest([FieldError("body", "/since", message, "OUT_OF_RANGE")])
