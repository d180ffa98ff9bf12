"""Who may use the API."""

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.access import require_tokens_on_public_address
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.unit.conftest import MakeApp


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def guarded(make_app: MakeApp) -> FlaskClient:
    return make_app(api_tokens="first,second").test_client()


@pytest.mark.parametrize("token", ["first", "second"])
def test_each_token_opens_the_api_from_anywhere(guarded: FlaskClient, token: str) -> None:
    answer = guarded.get("/jobs", headers=bearer(token), environ_base={"REMOTE_ADDR": "10.1.2.3"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("third"), bearer(""), bearer("first,second"), {"Authorization": "Basic Zmlyc3Q6"}, bearer("ÿ")],
)
@pytest.mark.parametrize("path", ["/jobs", "/retrain", "/nothing", "/jobs/nope", "/docsx"])
def test_without_a_known_token_nothing_is_told(guarded: FlaskClient, headers: dict[str, str], path: str) -> None:
    answer = guarded.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/docs/start.js", "/openapi.json"])
def test_health_and_documentation_are_open(guarded: FlaskClient, path: str) -> None:
    assert guarded.get(path, environ_base={"REMOTE_ADDR": "10.1.2.3"}).status_code == 200


def test_the_app_keeps_no_token(make_app: MakeApp) -> None:
    app = make_app(api_tokens="tok-1,tok-2")
    assert app.extensions["retrain"].settings.api_tokens == ()


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "localhost:5005", "127.0.0.1:5005", "[::1]:5005"])
def test_without_tokens_this_machine_is_served(client: FlaskClient, peer: str, host: str) -> None:
    answer = client.get("/jobs", headers={"Host": host}, environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("10.1.2.3", "localhost"),
        ("::ffff:10.1.2.3", "localhost"),
        ("", "localhost"),
        ("127.0.0.1", "rebound.example.org"),
        ("127.0.0.1", "localhost.example.org:5005"),
        ("127.0.0.1", "localhost@example.org"),
        ("127.0.0.1", "[::1"),
        ("127.0.0.1", ""),
    ],
)
def test_without_tokens_nobody_else_is(client: FlaskClient, peer: str, host: str) -> None:
    answer = client.get("/jobs", headers={"Host": host}, environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == 403
    assert "API_TOKENS" in (answer.json or {})["detail"]


def settings(**given: Any) -> Settings:
    return Settings.load(_env_file=None, **given)


def test_a_public_address_without_tokens_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"API_HOST .* API_TOKENS"):
        require_tokens_on_public_address(settings(api_host="0.0.0.0", api_tokens=()))


def test_a_public_address_with_tokens_is_served_silently(caplog: pytest.LogCaptureFixture) -> None:
    require_tokens_on_public_address(settings(api_host="0.0.0.0", api_tokens="t"))
    assert not caplog.records


def test_serving_this_machine_without_tokens_is_said_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    require_tokens_on_public_address(settings(api_host="127.0.0.1", api_tokens=()))
    [record] = caplog.records
    assert "API_TOKENS" in record.message
