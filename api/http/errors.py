"""The API's own refusals, each with its HTTP status and a code for programs.

The docstrings are part of the OpenAPI document, for callers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shared.errors import RetrainError


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with a request. The value itself is never repeated: it may contain a token."""

    place: Annotated[Literal["body", "query", "header"], Field(serialization_alias="in")]
    pointer: Annotated[str, Field(description="Which field, parameter or header (RFC 6901); empty for the whole.")]
    message: str
    code: str


class Refusal(RetrainError):
    """The API does not do what was asked."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}

    @property
    def members(self) -> Mapping[str, Any]:
        """What the problem document contains besides title, status, detail and code."""
        return {}

    @property
    def own_headers(self) -> Mapping[str, str]:
        """The headers of this answer; the class names those that all have."""
        return self.headers


class InvalidRequest(Refusal):
    """Something in the request is wrong; errors[] points at it."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "VALIDATION_FAILED"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors

    @property
    def members(self) -> Mapping[str, Any]:
        """Where each error is."""
        return {"errors": tuple(self.errors)}


class CredentialsNeeded(InvalidRequest):
    """Stored credentials are gone (a job's, which has ended) or cannot be read; send them again."""

    code = "CREDENTIALS_NEEDED"


class MalformedBody(Refusal):
    """The body is not a JSON object."""

    status = HTTPStatus.BAD_REQUEST
    code = "MALFORMED_JSON"


class BodyTooLarge(Refusal):
    """The body is larger than 1 MB, or has more text or values than any job needs."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "BODY_TOO_LARGE"


class WrongContentType(Refusal):
    """The body is not sent as application/json."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UNSUPPORTED_MEDIA_TYPE"
    headers = {"Accept-Post": "application/json"}  # noqa: RUF012 - the base class says ClassVar


class NotAuthenticated(Refusal):
    """The bearer token is missing or unknown."""

    status = HTTPStatus.UNAUTHORIZED
    code = "UNAUTHORIZED"
    headers = {"WWW-Authenticate": 'Bearer realm="automated-training"'}  # noqa: RUF012


class TooManyAtOnce(Refusal):
    """More than one caller may take."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    headers = {"Retry-After": "1"}  # noqa: RUF012

    def __init__(self, message: str, *, after_seconds: int) -> None:
        super().__init__(message, after_seconds=after_seconds)
        self.after_seconds = after_seconds

    @property
    def own_headers(self) -> Mapping[str, str]:
        """When to come back."""
        return {"Retry-After": str(self.after_seconds)}


class TooManyRequests(TooManyAtOnce):
    """You send more requests a second than one caller may."""

    code = "TOO_MANY_REQUESTS"


class TooManyWrongTokens(TooManyAtOnce):
    """Too many wrong tokens came from your address."""

    code = "TOO_MANY_WRONG_TOKENS"


class NotAllowed(Refusal):
    """The caller's roles do not allow this, or what it would change is somebody else's."""

    status = HTTPStatus.FORBIDDEN
    code = "FORBIDDEN"


class NotSigned(Refusal):
    """No trigger that waits for this has the secret that it was signed with, or it was signed too long ago."""

    status = HTTPStatus.UNAUTHORIZED
    code = "NOT_SIGNED"
    headers = {"WWW-Authenticate": 'Signature realm="automated-training"'}  # noqa: RUF012


class NotASignal(Refusal):
    """The trigger waits for something else than a signal."""

    status = HTTPStatus.CONFLICT
    code = "NOT_A_SIGNAL"


class NotFromThisMachine(Refusal):
    """No tokens are set, so only the API's own machine is served."""

    status = HTTPStatus.FORBIDDEN
    code = "LOOPBACK_ONLY"


class ForeignPage(Refusal):
    """A web page of another origin asks for a change."""

    status = HTTPStatus.FORBIDDEN
    code = "FOREIGN_ORIGIN"


class MetricsOnly(Refusal):
    """The token is one of METRICS_TOKENS, which read /metrics only."""

    status = HTTPStatus.FORBIDDEN
    code = "METRICS_ONLY"


class AttemptNotFound(Refusal):
    """The job has no attempt of this number."""

    status = HTTPStatus.NOT_FOUND
    code = "ATTEMPT_NOT_FOUND"


class NoAlertChannel(Refusal):
    """No alert channel is set up."""

    status = HTTPStatus.CONFLICT
    code = "NO_ALERT_CHANNEL"


class RequestOutdated(Refusal):
    """The job was recorded by another version, and its request is no longer valid."""

    status = HTTPStatus.CONFLICT
    code = "REQUEST_OUTDATED"


class TooManyFollowers(Refusal):
    """As many logs are already followed as the service allows."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "TOO_MANY_FOLLOWERS"
    headers = {"Retry-After": "5"}  # noqa: RUF012


class TooManyTabs(Refusal):
    """As many open pages are already told of changes as the service allows."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "TOO_MANY_TABS"
    headers = {"Retry-After": "30"}  # noqa: RUF012


class ModelVersionNotFound(Refusal):
    """MLflow has no such model, or no such version."""

    status = HTTPStatus.NOT_FOUND
    code = "MODEL_VERSION_NOT_FOUND"


class ChampionUnknown(Refusal):
    """No version is known to have had the alias then."""

    status = HTTPStatus.NOT_FOUND
    code = "CHAMPION_UNKNOWN"


class TriggerOfFile(Refusal):
    """The trigger is from a file of TRIGGERS_DIR, and only that changes it."""

    status = HTTPStatus.CONFLICT
    code = "TRIGGER_OF_FILE"


class NoSecurityContact(Refusal):
    """The operator named nobody."""

    status = HTTPStatus.NOT_FOUND
    code = "NO_SECURITY_CONTACT"


class IssuerUnavailable(Refusal):
    """The issuer of single sign-on does not answer, so its tokens cannot be checked. Other tokens open as ever."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ISSUER_UNAVAILABLE"
    headers = {"Retry-After": "10"}  # noqa: RUF012


class LastAdministrator(Refusal):
    """Nobody could administer without this token."""

    status = HTTPStatus.CONFLICT
    code = "LAST_ADMINISTRATOR"


class RegistryUnavailable(Refusal):
    """MLflow does not answer, or refuses. It is safe to try again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "TRACKING_UNAVAILABLE"
    headers = {"Retry-After": "5"}  # noqa: RUF012


@dataclass(frozen=True)
class Readiness:
    """What /readyz found; a part that does not answer is 'unavailable'."""

    store: str
    redis: str
    mlflow: str
    live_workers: int | None

    @property
    def missing(self) -> list[str]:
        """The parts that do not answer, and without which no job can be accepted."""
        return [name for name, state in (("the job store", self.store), ("Redis", self.redis)) if state != "ok"]


class NotReady(Refusal):
    """The job store or Redis does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "NOT_READY"
    headers = {"Retry-After": "5"}  # noqa: RUF012

    def __init__(self, readiness: Readiness) -> None:
        super().__init__(f"Not ready: no answer from {' and '.join(readiness.missing)}.")
        self.readiness = readiness

    @property
    def members(self) -> Mapping[str, Any]:
        """The state of each part."""
        return vars(self.readiness)
