"""GET /statistics."""

from collections.abc import Mapping

from pydantic import Field

from api.access.authorisation import require_all_teams
from api.http.models import AnswerBody, NoQuery
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from shared.access.roles import Right
from shared.jobs.model import JobState


class Backlog(AnswerBody):
    """What waits in a queue."""

    count: int
    oldest_seconds: float = Field(description="How long the first of them has waited.")


class Statistics(AnswerBody):
    """The service at this moment."""

    jobs: Mapping[JobState, int] = Field(description="Jobs by state; a state without any is absent.")
    queues: Mapping[str, Backlog] = Field(description="Queued jobs by queue; a queue without any is absent.")


@operation("GET /statistics", Answer("The counts.", Statistics), tag=Tag.JOBS, needs=Right.READ)
def get_statistics(query: NoQuery) -> Statistics:
    """Count the jobs by state, and what waits by queue.

    The counts are kept as jobs end, so this is fast however many there are. With isolated teams, callers of a team are
    refused: the counts are those of all teams.
    """
    require_all_teams("Statistics")
    found = services().store.get_statistics()
    queues = {
        name: Backlog(count=each.count, oldest_seconds=each.oldest_seconds) for name, each in found.queues.items()
    }
    return Statistics(jobs=found.jobs, queues=queues)
