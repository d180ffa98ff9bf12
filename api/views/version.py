"""GET /version."""

from pydantic import Field

from api import API_VERSION
from api.http.models import AnswerBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from shared.errors import StoreUnavailable
from shared.version import service_version


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
