"""GET /version and GET /.well-known/security.txt."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask.testing import FlaskClient

from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Asking, Documented
from tests.unit.conftest import MakeApp

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


CONTACT = "mailto:security@example.com"
SECURITY_TEXT = "/.well-known/security.txt"
DOCUMENTED: Documented = {
    f"GET {SECURITY_TEXT}": lambda api: Asking(
        SECURITY_TEXT, settings={"security_contact": CONTACT}, others={"404": lambda: api.client().get(SECURITY_TEXT)}
    ),
}


def test_the_versions_of_service_document_and_schema_are_told(client: FlaskClient, store: MemoryStore) -> None:
    document = client.get("/openapi.json").json or {}
    assert client.get("/version").json == {
        "service": PROJECT["version"],
        "api": document["info"]["version"],
        "schema_revision": store.schema_revision(),
    }


def test_whoever_upgrades_needs_no_token(make_app: MakeApp) -> None:
    assert make_app(api_tokens="t").test_client().get("/version").status_code == 200


def test_whoever_found_a_hole_learns_whom_to_tell_it(make_app: MakeApp) -> None:
    answer = make_app(api_tokens="t", security_contact=CONTACT).test_client().get(SECURITY_TEXT)
    fields = dict(line.split(": ") for line in answer.text.splitlines())
    assert (answer.mimetype, fields["Contact"]) == ("text/plain", CONTACT)
    lasts = datetime.fromisoformat(fields["Expires"]) - datetime.now(UTC)
    assert timedelta(days=30) < lasts < timedelta(days=365)  # RFC 9116: less than a year


def test_without_a_contact_there_is_no_such_page(client: FlaskClient) -> None:
    assert client.get(SECURITY_TEXT).json["code"] == "NO_SECURITY_CONTACT"  # type: ignore[index]
