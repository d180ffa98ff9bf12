"""POST /models/<name>/replay: recorded decisions under other rules."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from api.access.finding import require_model
from api.http.errors import ModelVersionNotFound
from api.http.models import AnswerBody, RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.replay import Outcome, Replayed, replay
from api.services import services
from api.views.models.champion import ModelPath
from api.views.models.observations import Moment
from shared.access.roles import Right
from shared.requests.parts import Promotion

MOST_DECISIONS = 1000
NO_PART = {"mode", "approve_below", "approval_days", "probation"}  # of what the gate decides by


class ReplayRequest(RequestBody):
    """Which decisions, and under which rules."""

    rules: Promotion = Field(
        default_factory=Promotion,
        description="Rules as in promotion of POST /retrain. They are laid over those that decided then: what is not "
        "sent stays.",
        examples=[{"min_delta": 0.01}],
    )
    since: Moment | None = Field(None, description="Only decisions since this RFC 3339 time; null for all.")


class ReplayLine(AnswerBody):
    """A decision that differs, or that cannot be replayed."""

    promotion_id: str
    at: datetime
    alias: str
    version: str | None
    champion: str | None = Field(description="The version that it met then, and meets again; null for none.")
    job_id: str | None
    outcome: Outcome = Field(description="unknown: the record does not say enough.")
    was: str = Field(description="The reason then.")
    now: str = Field(description="The reason under the other rules or, for unknown, what is missing.")


class Replay(AnswerBody):
    """What other rules would have made of the recorded decisions."""

    decisions: int = Field(description="All that were replayed.")
    same: int
    would_promote: int
    would_refuse: int
    unknown: int
    complete: bool = Field(description=f"false if there are more: only the newest {MOST_DECISIONS} are replayed.")
    ignored: Sequence[str] = Field(description="Rules that were sent and have no part in what the gate decides.")
    differing: Sequence[ReplayLine] = Field(description="All that are not the same, the oldest first.")


@operation(
    "POST /models/<model>/replay",
    Answer("The replay.", Replay),
    tag=Tag.MODELS,
    needs=Right.READ,
    raises=[ModelVersionNotFound],
)
def replay_decisions(path: ModelPath, body: ReplayRequest) -> Replay:
    """Make recorded decisions about a model again, under other rules; nothing is changed.

    Each decision meets the champion that it really met, not the one that the other rules would have left: if an earlier
    decision differs, later ones are shown as if it had not.
    """
    store = services().store
    require_model(store, path.model)
    found = store.decisions(path.model, since=body.since, limit=MOST_DECISIONS + 1)
    asked = body.rules.as_rules
    done = replay(reversed(found[:MOST_DECISIONS]), {name: asked[name] for name in asked if name not in NO_PART})
    counts = Counter(str(each.outcome) for each in done)
    return Replay(
        decisions=len(done),
        **{outcome: counts[outcome] for outcome in Outcome},
        complete=len(found) <= MOST_DECISIONS,
        ignored=sorted(NO_PART & set(asked)),
        differing=[_line(each) for each in done if each.outcome is not Outcome.SAME],
    )


def _line(replayed: Replayed) -> ReplayLine:
    of = replayed.promotion
    return ReplayLine(
        promotion_id=of.id,
        at=of.created_at,
        alias=of.alias,
        version=of.version,
        champion=replayed.champion,
        job_id=of.job_id,
        outcome=replayed.outcome,
        was=str(of.decision.get("reason", of.reason)),
        now=replayed.now,
    )
