"""Makes, lists, rotates and revokes tokens, and says who the caller is."""

import logging
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from flask import Response
from pydantic import AfterValidator, BaseModel, Field

from api.access.authorisation import current_caller
from api.access.tokens import change_secret, issue_token, revoke_token
from api.http.errors import LastAdministrator
from api.http.models import AnswerBody, NoQuery, RequestBody
from api.operations.answers import Answer, Tag, json_response
from api.operations.operation import operation
from api.schemas import Timestamp
from api.services import services
from shared.access.callers import CallerKind
from shared.access.roles import Right, Role
from shared.access.tokens import TEAM, TOKEN_NAME, TokenRecord, TokenState, unreserved
from shared.errors import TokenEnded, TokenExists, TokenNotFound

logger = logging.getLogger(__name__)

MOST_DAYS = 3650
MOST_OVERLAP_HOURS = 24 * 31
NO_STORE = {"Cache-Control": "no-store"}
TOLD = {"Cache-Control": "no-store: nobody between may keep the token."}


class Token(AnswerBody):
    """A token, without what opens anything."""

    name: str
    hint: str = Field(description="How its secret begins.")
    roles: tuple[Role, ...]
    team: str | None = Field(description="Null: of all teams.")
    state: TokenState
    created_at: Timestamp
    created_by: str = Field(description="Who made it.")
    rotated_at: Timestamp | None = Field(description="When its secret was replaced.")
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    used_at: Timestamp | None = Field(description="Its last use, to the minute.")


class IssuedToken(Token):
    """A token with its secret, which is shown only in this answer."""

    token: str = Field(description="Send it as Authorization: Bearer <token>. It cannot be shown again.")


class TokenList(AnswerBody):
    """All tokens, by name."""

    tokens: list[Token]


class TokenPath(BaseModel):
    """Which token."""

    name: str = Field(description="Its name.", pattern=TOKEN_NAME)


class TokenRequest(RequestBody):
    """A token to make."""

    name: Annotated[str, AfterValidator(unreserved)] = Field(
        description="Who or what holds it. It stays with it in jobs and records, so it is never given again.",
        pattern=TOKEN_NAME,
        examples=["ci"],
    )
    roles: frozenset[Role] = Field(min_length=1, description="What it may do.", examples=[["submitter"]])
    team: str | None = Field(None, pattern=TEAM, description="Whose jobs, triggers and models; left out: all teams'.")
    expires_in_days: float | None = Field(
        None, strict=True, gt=0, le=MOST_DAYS, description="Left out: it does not expire."
    )


class Rotation(RequestBody):
    """How a token's secret is replaced."""

    overlap_hours: float = Field(
        0,
        strict=True,
        ge=0,
        le=MOST_OVERLAP_HOURS,
        description="How long the secret before opens, too, while programs are changed.",
    )


class Whoami(AnswerBody):
    """Who sent the request."""

    name: str
    kind: CallerKind = Field(description="How that was shown.")
    roles: tuple[Role, ...]
    team: str | None = Field(description="Null: of all teams.")


@operation(
    "POST /tokens",
    Answer("The token, with its secret.", IssuedToken, HTTPStatus.CREATED, TOLD),
    tag=Tag.ACCESS,
    needs=Right.ADMINISTER,
    raises=[TokenExists],
)
def create_token(body: TokenRequest) -> Response:
    """Make a token. Only this answer shows it.

    The service keeps a hash of it. Its name appears in what its holder does, so a name that was used once is taken for
    good, even if its token is revoked.
    """
    created, secret = issue_token(
        services().store,
        body.name,
        roles=body.roles,
        team=body.team,
        days=body.expires_in_days,
        by=current_caller(),
    )
    logger.info("token created", extra={"token": created.name, "roles": sorted(created.roles), "team": created.team})
    return _shown(created, secret, HTTPStatus.CREATED)


@operation("GET /tokens", Answer("All tokens, by name.", TokenList), tag=Tag.ACCESS, needs=Right.ADMINISTER)
def list_tokens(query: NoQuery) -> TokenList:
    """List tokens, also those that were revoked or have expired.

    Those of API_TOKENS are not in it: they are settings.
    """
    return TokenList(tokens=[represent(each) for each in services().store.list_tokens()])


@operation(
    "GET /tokens/<name>", Answer("The token.", Token), tag=Tag.ACCESS, needs=Right.ADMINISTER, raises=[TokenNotFound]
)
def get_token(path: TokenPath, query: NoQuery) -> Token:
    """Read what is known of a token.

    The token itself is not: it was answered once, when it was made or replaced.
    """
    return represent(services().store.get_token(path.name))


@operation(
    "POST /tokens/<name>/rotate",
    Answer("The token, with its new secret.", IssuedToken, headers=TOLD),
    tag=Tag.ACCESS,
    needs=Right.ADMINISTER,
    raises=[TokenNotFound, TokenEnded],
)
def rotate_token(path: TokenPath, body: Rotation) -> Response:
    """Replace a token's secret. Only this answer shows the new one.

    Name, roles, team and expiry stay. The secret before opens for `overlap_hours` still; if it was rotated before, the
    one before that opens nothing any more. The body may be omitted.
    """
    rotated, secret = change_secret(
        services().store, path.name, overlap_hours=body.overlap_hours, known=services().known
    )
    logger.info("token rotated", extra={"token": rotated.name, "overlap_hours": body.overlap_hours})
    return _shown(rotated, secret, HTTPStatus.OK)


@operation(
    "DELETE /tokens/<name>",
    Answer("The token, as it is now.", Token),
    tag=Tag.ACCESS,
    needs=Right.ADMINISTER,
    raises=[TokenNotFound, LastAdministrator],
)
def delete_token(path: TokenPath, query: NoQuery) -> Token:
    """Revoke a token: nobody gets in by it any more.

    Other processes of the API notice within two seconds. Jobs that its holder submitted go on. If it is revoked
    already, nothing changes. The last token of an administrator is refused where nobody else could administer.
    """
    here = services()
    may_be_last = not here.administered_by_tokens_only
    revoked = revoke_token(here.store, path.name, known=here.known, may_be_last=may_be_last)
    logger.info("token revoked", extra={"token": revoked.name})
    return represent(revoked)


@operation("GET /whoami", Answer("The caller.", Whoami), tag=Tag.ACCESS, needs=Right.READ)
def whoami(query: NoQuery) -> Whoami:
    """Say who you are to this service, and what you may do.

    `kind` is how you showed it: by a token, by the proxy of a single sign-on, or by being on the API's own machine.
    """
    caller = current_caller()
    return Whoami(name=caller.name, kind=caller.kind, roles=tuple(sorted(caller.roles)), team=caller.team)


def represent(token: TokenRecord) -> Token:
    """Return the token as the API answers it."""
    return Token(**_facts(token))


def _shown(token: TokenRecord, secret: str, status: HTTPStatus) -> Response:
    response = json_response(IssuedToken(token=secret, **_facts(token)), status)
    response.headers.update(NO_STORE)
    return response


def _facts(token: TokenRecord) -> dict[str, object]:
    known = {name: getattr(token, name) for name in Token.model_fields if name != "state"}
    return {**known, "roles": tuple(sorted(token.roles)), "state": token.state(datetime.now(UTC))}
