"""GET /audit."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, WithJsonSchema

from api.http.models import AnswerBody, Query
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.paging import next_history
from api.services import services
from api.views.jobs.listing import Filter, Time
from shared.access.audit import AuditFilter, Outcome
from shared.access.roles import Right


class AuditQuery(Query):
    """Which entries."""

    caller: Filter | None = Field(None, description="Of this caller.")
    action: Filter | None = Field(None, description="Of this operation, by its id in this document: cancelJob.")
    subject: Filter | None = Field(None, description="About this: job:ID, trigger:NAME, model:NAME, host:NAME.")
    outcome: Outcome | None = Field(None, description="With this outcome.")
    since: Time | None = Field(None, description="From this RFC 3339 time on.")
    until: Time | None = Field(None, description="Up to this RFC 3339 time.")
    limit: int = Field(100, ge=1, le=1000, description="Entries on a page.")
    before: int | None = Field(None, ge=1, le=2**53, description="Only entries with smaller numbers.")


class AuditRecord(AnswerBody):
    """Who did what, to what, when, from where, with which outcome."""

    number: int = Field(description="Its place. Numbers have no gap.")
    at: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
    caller: str
    kind: str = Field(
        description="How the caller showed who it is: token, environment (API_TOKENS), machine, proxy, oidc, signature "
        "(of a webhook); service for what the service did by itself, nobody for who did not show it."
    )
    team: str | None
    action: str = Field(description="The operation; moveAlias, fireTrigger and cancelJob also of the service itself.")
    subject: str = Field(description="job:ID, trigger:NAME, model:NAME, host:NAME, token:NAME or channel:NAME.")
    outcome: str = Field(description="done, refused or failed.")
    reason: str = Field(description="Of what was not done, the error's code.")
    address: str = Field(description="Of the caller; empty for the service itself.")
    request_id: str
    hash: str = Field(description="SHA-256 of this entry and of the hash before it.")


class AuditPage(AnswerBody):
    """Some entries, the newest first."""

    entries: Sequence[AuditRecord]
    next: str | None = Field(description="The next page's address; null on the last one.")


@operation("GET /audit", Answer("A page of the audit.", AuditPage), tag=Tag.ACCESS, needs=Right.ADMINISTER)
def list_audit(query: AuditQuery) -> AuditPage:
    """List who did what, the newest first.

    Every change by a person or a program is there, and every refusal; an entry must match all filters. Each entry's
    hash covers the one before it, so that nobody can change or take out one unnoticed: `retrain audit verify` looks.
    """
    where = AuditFilter(**query.model_dump(exclude={"limit", "before"}))
    found = services().store.list_audit(where, limit=query.limit + 1, before_number=query.before)
    page = found[: query.limit]
    following = next_history(page[-1].number) if len(found) > len(page) else None
    return AuditPage(entries=[AuditRecord.model_validate(each.record()) for each in page], next=following)
