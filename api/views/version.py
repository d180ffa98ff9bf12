"""GET /version and GET /.well-known/security.txt: what everybody may know of this installation."""

from datetime import UTC, datetime, timedelta

from flask import Response
from pydantic import Field

from api import API_VERSION
from api.http.errors import NoSecurityContact
from api.http.models import AnswerBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from shared.errors import StoreUnavailable
from shared.version import service_version

SECURITY_TEXT_DAYS = 180  # for which it may be kept


class Version(AnswerBody):
    """The versions of what answers here."""

    service: str = Field(description="The version of the service that the API is part of.", examples=["1.0.0"])
    api: str = Field(description="The version of this document: info.version in /openapi.json.", examples=["1.0.0"])
    schema_revision: str = Field(
        description="The revision of the job store's schema, as a newer program may have raised it.", examples=["0012"]
    )


@operation(
    "GET /version",
    Answer("The versions.", Version),
    tag=Tag.HEALTH,
    raises=[StoreUnavailable],
    needs=None,
)
def version() -> Version:
    """Return the versions of the service, this document and the schema.

    During an upgrade, APIs of two versions may answer at one address.
    """
    revision = services().store.schema_revision()
    return Version(service=service_version(), api=API_VERSION, schema_revision=revision)


@operation(
    "GET /.well-known/security.txt",
    Answer("The contact.", media_types=("text/plain",)),
    tag=Tag.HEALTH,
    raises=[NoSecurityContact],
    needs=None,
)
def security_text() -> Response:
    """Tell where to report a vulnerability of this installation (RFC 9116).

    It is the operator's SECURITY_CONTACT; the text may be kept for half a year.
    """
    contact = services().settings.security_contact
    if not contact:
        raise NoSecurityContact("Nobody is named (the operator's SECURITY_CONTACT).")
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=SECURITY_TEXT_DAYS)
    lines = (f"Contact: {contact}", f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}", "Preferred-Languages: en")
    return Response("".join(f"{line}\n" for line in lines), mimetype="text/plain")
