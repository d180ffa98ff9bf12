"""GET /version."""

import tomllib
from pathlib import Path

from flask.testing import FlaskClient

from tests.fakes.store import MemoryStore
from tests.unit.conftest import MakeApp

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


def test_the_versions_of_service_document_and_schema_are_told(client: FlaskClient, store: MemoryStore) -> None:
    document = client.get("/openapi.json").json or {}
    assert client.get("/version").json == {
        "service": PROJECT["version"],
        "api": document["info"]["version"],
        "schema_revision": store.schema_revision(),
    }


def test_whoever_upgrades_needs_no_token(make_app: MakeApp) -> None:
    assert make_app(api_tokens="t").test_client().get("/version").status_code == 200
